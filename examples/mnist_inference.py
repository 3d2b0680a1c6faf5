"""MNIST by a network of three layers: image by image, in batches, and without the softmax."""

import time

import numpy as np

import fastnn

(x, labels), (x_test, labels_test) = fastnn.datasets.load_mnist()
print(f"{len(x):,} images of {x.shape[1]} pixels, from {x.min()} to {x.max()}; "
      f"the first one is a {labels[0]}")  # fmt: skip
fastnn.plots.save(fastnn.plots.show_digits(x[:16], labels[:16]), "digits.png")

trained = fastnn.MLP([784, 50, 100, 10], seed=0)
trained.fit(x, labels, optimizer=fastnn.SGD(0.1, momentum=0.9), batch_size=100, epochs=10)

# Its parameters are arrays W1, b1, W2, ... : a network can be made of them again.
network = fastnn.MLP.from_params(trained.get_params_dict())

began = time.perf_counter()
one_by_one = [int(np.argmax(network.predict(image))) for image in x_test]
middle = time.perf_counter()
batches = [network.predict(x_test[i : i + 100]).argmax(axis=1) for i in range(0, 10_000, 100)]
end = time.perf_counter()

in_batches = np.concatenate(batches)
print(f"image by image:     {np.mean(one_by_one == labels_test):.2%} in {middle - began:.3f} s")
print(f"in batches of 100:  {np.mean(in_batches == labels_test):.2%} in {end - middle:.3f} s")
print("the same classes:  ", np.array_equal(one_by_one, in_batches))

# The softmax changes no order, so it is not needed to name a class.
print("without softmax:   ", np.array_equal(network.logits(x_test).argmax(axis=1), in_batches))
