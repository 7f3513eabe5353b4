"""How `flow.py` reads each kind of node of `ir.py`: what it does and gives. One reader a kind, in the table of its module."""
