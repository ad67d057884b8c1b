"""Texts to states: the tokenizer, BERT in place of the own encoder, controls, mixtures, the adapter."""
