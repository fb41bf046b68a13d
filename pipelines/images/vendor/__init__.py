"""Files of microscopes' makers, one module a format; each needs an extra of senescope."""
