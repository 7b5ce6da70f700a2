"""GAN methods: the named losses of generators and discriminators, for the one trainer."""
