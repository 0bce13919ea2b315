"""Attribution of a model's score to bases, and its evaluation."""
