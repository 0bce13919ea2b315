"""Attribution methods: the contribution of every base to a model's logit."""
