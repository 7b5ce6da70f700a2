"""PD to T2 with a 3-D GAN on patches, a gradient difference loss and auto-context."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
