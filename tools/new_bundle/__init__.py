"""A new bundle from an existing one: ``python -m tools.new_bundle NAME --like mr2ct_pix2pix``."""
