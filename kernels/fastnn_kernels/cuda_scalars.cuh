// Scalars: the functions of scalars.py and updates.py, in CUDA C++ for kernels that train by the step.
// `real` is float or double; a literal is an integer or is cast, so that float stays float.

enum Activation { IDENTITY, SIGMOID, TANH, RELU, LEAKY_RELU, ELU, SOFTPLUS, GELU, SILU, SOFTMAX };
enum Loss { SOFTMAX_CROSS_ENTROPY, SIGMOID_CROSS_ENTROPY, SQUARED_ERROR, HUBER };
enum Rule { SGD, SGD_MOMENTUM, SGD_NESTEROV, ADAM, RMSPROP, ADAGRAD, MOVE };

__device__ inline real sigmoid(real z) { return 1 / (1 + exp(-z)); }
__device__ inline real gelu_argument(real z) {  // sqrt(8/pi) (z + 0.044715 z^3)
  return real(1.5957691216057308) * (z + real(0.044715) * z * z * z);
}
__device__ inline real times(real z, real s) { return s != 0 ? z * s : s; }  // not -inf * 0

// f(z); SOFTMAX is of rows, and not here.
__device__ inline real activate(int f, real z) {
  switch (f) {
    case SIGMOID: return sigmoid(z);
    case TANH: return tanh(z);
    case RELU: return z < 0 ? 0 : z;
    case LEAKY_RELU: return z < 0 ? z * real(0.01) : z;
    case ELU: return z < 0 ? expm1(z) : z;
    case SOFTPLUS: return (z < 0 ? 0 : z) + log1p(exp(-fabs(z)));
    case GELU: return times(z, sigmoid(gelu_argument(z)));
    case SILU: return times(z, sigmoid(z));
    default: return z;
  }
}

// f'(z), where a = f(z).
__device__ inline real slope(int f, real z, real a) {
  switch (f) {
    case SIGMOID: return a * (1 - a);
    case TANH: return 1 - a * a;
    case RELU: return a > 0 ? 1 : a <= 0 ? 0 : a;
    case LEAKY_RELU: return a > 0 ? 1 : a <= 0 ? real(0.01) : a;
    case ELU: return a > 0 ? 1 : a + 1;
    case SOFTPLUS: return -expm1(-a);
    case GELU: {
      const real s = sigmoid(gelu_argument(z)), w = s * (1 - s);
      const real u = real(1.5957691216057308) * (1 + real(0.134145) * z * z);  // of the argument
      return w != 0 ? s + z * w * u : s;
    }
    case SILU: {
      const real s = sigmoid(z), w = s * (1 - s);
      return w != 0 ? s + z * w : s;
    }
    default: return 1;
  }
}

// Of one output t, a logit or an activation, against y; SOFTMAX_CROSS_ENTROPY is of rows.
__device__ inline real loss_of(int loss, real t, real y) {
  const real d = t - y;
  switch (loss) {
    case SIGMOID_CROSS_ENTROPY: return (t < 0 ? 0 : t) - t * y + log1p(exp(-fabs(t)));
    case HUBER: return fabs(d) <= 1 ? d * d / 2 : fabs(d) - real(0.5);
    default: return d * d / 2;
  }
}
__device__ inline real loss_slope(int loss, real t, real y) {
  const real d = t - y;
  switch (loss) {
    case SIGMOID_CROSS_ENTROPY: return sigmoid(t) - y;
    case HUBER: return d > 1 ? 1 : d < -1 ? -1 : d;
    default: return d;
  }
}

// Moves p along its gradient g; v and u are what the rule keeps, a its numbers in the order of the
// kernel of this name in face.py.
__device__ inline void update(int rule, const real* a, real g, real& p, real& v, real& u) {
  switch (rule) {
    case MOVE: p -= g; break;
    case SGD: p -= a[0] * (g + a[1] * p); break;
    case SGD_MOMENTUM: v = a[1] * v + (g + a[2] * p); p -= a[0] * v; break;
    case SGD_NESTEROV: {
      const real d = g + a[2] * p;
      v = a[1] * v + d;
      p -= a[0] * (d + a[1] * v);
      break;
    }
    case ADAM: {
      const real d = g + a[5] * p;
      v = a[1] * v + (1 - a[1]) * d;
      u = a[2] * u + (1 - a[2]) * d * d;
      p = a[6] * p - a[0] * v / (sqrt(u) / a[4] + a[3]);
      break;
    }
    case RMSPROP: {
      const real d = g + a[3] * p;
      v = a[1] * v + (1 - a[1]) * d * d;
      p -= a[0] * d / (sqrt(v) + a[2]);
      break;
    }
    case ADAGRAD: {
      const real d = g + a[2] * p;
      v += d * d;
      p -= a[0] * d / (sqrt(v) + a[1]);
      break;
    }
  }
}

// Word `index` of the bits of a mask: Philox-4x32-10, as scalars.philox4x32.  Salmon et al. (2011).
__device__ inline unsigned philox(unsigned index, unsigned layer, const unsigned (&step)[2],
                                  const unsigned (&seed)[2]) {
  unsigned c[4] = {index / 4, layer, step[0], step[1]}, key[2] = {seed[0], seed[1]};
  for (int round = 0; round < 10; round++) {
    const unsigned long long p = 0xD2511F53ull * c[0], q = 0xCD9E8D57ull * c[2];
    c[0] = unsigned(q >> 32) ^ c[1] ^ key[0];
    c[1] = unsigned(q);
    c[2] = unsigned(p >> 32) ^ c[3] ^ key[1];
    c[3] = unsigned(p);
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return index & 2 ? c[2 + (index & 1)] : c[index & 1];
}
