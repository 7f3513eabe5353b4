"""What `lower.py` makes of the nodes of a syntax tree: shapes, and factories of shapes, of which a language's table is made."""
