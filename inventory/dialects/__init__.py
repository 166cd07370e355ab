"""How each program on a device is told its intent: one package for each program, templates beside the code."""
