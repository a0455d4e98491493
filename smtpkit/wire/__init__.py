"""The wire layer: octets to values and back, without state or I/O."""
