// The overview: all lines, live.
import { follow } from "/static/live.js";

follow({});
