"""What commands and programs do, without running them. Decides; does no I/O."""
