"""Does a test fail when the code is wrong? One small change of the code at a time (a mutant), and the tests that run it.

`uv run python -m tests.mutation` tells how. `operators` says what is changed, `modules` where, and by which tests it must be
noticed; `named` are changes that were once made by hand and lived. `trial` tries them, in processes of their own: nothing of the
working tree is ever written.
"""
