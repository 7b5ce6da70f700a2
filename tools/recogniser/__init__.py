"""What the check of a head's contrast and axes is made from (``common/trust/weights``)."""
