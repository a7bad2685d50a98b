// Digits for gloves: the field itself works as well.
"use strict";

const secret = document.getElementById("secret");
const keypad = document.querySelector(".keypad");
if (keypad && secret) {
  keypad.hidden = false;
  keypad.addEventListener("click", (event) => {
    const digit = event.target.closest("[data-digit]")?.dataset.digit;
    if (digit === undefined) return;
    secret.value = digit === "" ? secret.value.slice(0, -1) : secret.value + digit;
  });
}
