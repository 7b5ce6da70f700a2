"""Low-dose CT to normal-dose CT with a Wasserstein GAN and a perceptual loss."""

from common.files import bundle_root_of

bundle_root = bundle_root_of(__file__)
