"""Any folder of pictures as a dataset: found, looked through by headers, decoded when their turn comes."""
