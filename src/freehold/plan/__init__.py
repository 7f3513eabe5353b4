"""What if: capacity, from one card to a site. Decides; does no I/O."""
