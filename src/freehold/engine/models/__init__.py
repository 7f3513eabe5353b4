"""Forward passes. `families.FAMILIES` names what can be run, and says per name what differs."""
