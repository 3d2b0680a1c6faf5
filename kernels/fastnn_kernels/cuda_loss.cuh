// Loss: from the logits of a few rows to their losses, hits and derivatives.

struct Target { int row, label; real weight; };  // label: -1 where there are none

__device__ inline Target target_of(const Job& job, int place) {
  const int row = job.order[place];
  return {row, job.labels ? int(job.labels[row]) : -1, job.weights ? job.weights[row] : job.weight};
}

// Z (N, PITCH) becomes D = dloss/dZ of up to R rows, over `mean_of`.  LANES threads have a row; its
// loss and hit go to `place`.  Of one that is not there D is 0.
__device__ inline void set_loss(const Job& job, const Target& row, bool is_there, int place,
                                real mean_of, real* Z) {
  const int N = job.width[job.layers], f = job.f[job.layers];
  const int at = threadIdx.x / LANES, lane = threadIdx.x % LANES;
  const bool is_softmax = f == SOFTMAX;
  const int label = row.label;
  const real w = is_there ? row.weight : 0, g = w / mean_of;
  auto target = [&](int c) { return job.Y ? job.Y[(size_t)row.row * N + c] : real(c == label); };

  real better = 0;  // outputs that are named before the label
  if (label >= 0 && N > 1)
    for (int c = lane; c < N; c += LANES) {
      const real z = Z[c * PITCH + at], named = Z[label * PITCH + at];
      better += c < label ? z >= named : z > named;
    }
  if (label >= 0 && N == 1) better = label != (Z[at] > 0);
  better = total(better);
  const Softmax softmax = is_softmax ? softmax_of(Z + at, N) : Softmax{0, 1};

  real loss = 0, mass = 0, mean = 0;
  for (int c = lane; c < N; c += LANES) {
    const real z = Z[c * PITCH + at], y = target(c);
    if (job.loss == SOFTMAX_CROSS_ENTROPY) {
      mass += y;
      loss -= y ? y * (z - softmax.top) : 0;
    } else {
      const bool is_logit = job.loss == SIGMOID_CROSS_ENTROPY;
      const real t = is_logit ? z : is_softmax ? softmax(z) : activate(f, z);
      loss += loss_of(job.loss, t, y);
      mean += t * loss_slope(job.loss, t, y);
    }
  }
  loss = total(loss), mass = total(mass), mean = total(mean);
  if (job.loss == SOFTMAX_CROSS_ENTROPY) loss += mass * log(softmax.sum);
  for (int c = lane; c < N; c += LANES) {
    const real z = Z[c * PITCH + at], y = target(c), share = is_softmax ? softmax(z) : 0;
    real d;
    if (job.loss == SOFTMAX_CROSS_ENTROPY) d = mass * share - y;
    else if (job.loss == SIGMOID_CROSS_ENTROPY) d = loss_slope(job.loss, z, y);
    else if (is_softmax) d = share * (loss_slope(job.loss, share, y) - mean);
    else {
      const real t = activate(f, z);
      d = loss_slope(job.loss, t, y) * slope(f, z, t);
    }
    Z[c * PITCH + at] = g * d;
  }
  if (is_there && lane == 0) {
    job.losses[place] = w * loss;
    if (label >= 0) job.hits[place] = better == 0;
  }
}
