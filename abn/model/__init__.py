"""What a network is: exactly the files that `save_pretrained` and `push_to_hub` carry along, so that others need not
have this package. Flat, each importing its neighbours by one dot (`from .name import …`): transformers follows no other
form."""
