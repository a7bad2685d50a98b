"""What the gate and a line's controller say to each other, whichever protocol carries it."""
