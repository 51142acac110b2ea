"""What the rows of a comparison are called."""

TITLES = {
    "mf": "MF",
    "mf_tuned": "tuned MF",
    "dnn": "DNN",
    "dnn_tuned": "tuned DNN",
    "global_mean": "global mean",
    "user_mean": "user mean",
    "item_mean": "item mean",
    "bias_only": "bias only",
    "item_knn": "item kNN",
}
"""How the report calls what the files call `mf`, `dnn`, …"""
