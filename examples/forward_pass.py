"""Three layers by hand: what a network computes, with numbers that you can check on paper."""

import fastnn
from fastnn.functional import softmax

network = fastnn.MLP.from_params(
    {
        "W1": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]], "b1": [0.1, 0.2, 0.3],
        "W2": [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]], "b2": [0.1, 0.2],
        "W3": [[0.1, 0.3], [0.2, 0.4]], "b3": [0.1, 0.2],
    },
    activation="sigmoid", output="identity",
)  # fmt: skip
print("outputs:", network.predict([1.0, 0.5]))

# Softmax turns any numbers into positive ones of sum 1, however large they are.
print("softmax:", softmax([0.3, 2.9, 4.0]), "sum", softmax([0.3, 2.9, 4.0]).sum())
print("softmax:", softmax([1010, 1000, 990]))
