"""The main study: what each product is a function of, and how it is made from the rooms below."""
