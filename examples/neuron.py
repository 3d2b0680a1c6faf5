"""One sigmoid neuron learns one number."""

from fastnn.classic import Neuron

neuron = Neuron(activation="sigmoid", learning_rate=0.1, seed=0)
x, y = 3, 0.7
print(f"before: w {neuron.w:.4f}, b {neuron.b:.4f}, forward(3) = {neuron.forward(x):.4f}")

losses = neuron.train(x, y, epochs=10_000, target_loss=1e-31)
print(f"after {len(losses)} epochs: loss {losses[-1]:.1e}, forward(3) = {neuron.forward(x):.15f}")
print(f"right by {neuron.eval(x, y):.1f} %")

# The same, step by step, in a loop of your own.
neuron = Neuron(activation="sigmoid", learning_rate=0.1, seed=0)
for epoch in range(100):
    y_pred = neuron.forward(x)
    loss = (y - y_pred) ** 2
    neuron.backward(x, y, y_pred)
    if epoch % 20 == 0:
        print(f"epoch {epoch + 1:2}: loss {loss:.1e}")

# Another target, another neuron.  In the end a step is too small to change w or b.
neuron = Neuron(seed=0)
neuron.train(1, 0.32)
print(f"forward(1) = {neuron.forward(1):.15g}, off by {abs(neuron.forward(1) - 0.32):.0e}")

# The curve of the losses; it needs matplotlib.
neuron = Neuron(seed=0)
neuron.train(1, 0.32, epochs=1000, show=True)

from matplotlib import pyplot  # noqa: E402

pyplot.savefig("neuron.png")
print("neuron.png shows how the loss fell")
