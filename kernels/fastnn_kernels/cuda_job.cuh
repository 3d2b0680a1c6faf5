// Job: what a network's training by steps works on, and where it is in it.
//
// What changes from step to step is in job.control, on the device, and the last block of a step adds
// one to the step there: so a graph of launches captured once may be replayed for ever.  No sum
// depends on the order in which threads or blocks happen to run.
//
// work holds, from the places in the job on, for layers l = 1 .. layers of widths N (l) and K (l-1):
//   W (K+1, stride)      weights, and below them the bias, whose input is 1; then, each job.size
//                        numbers later, what the optimizer keeps of them
//   WT (N, stride of l-1)  the transpose, which the way back reads along its rows; from layer 2 on
//   A (rows of a batch, stride)  f(Z) less what is dropped, and 1 in column N
//   S, D                 the same shape: dA/dZ, and dloss/dZ
//   parts                sums over a part of the batch each, of every tile of the gradient
// A stride is at least N + 1 and a multiple of 8.

struct Control {
  int step, arrived;         // steps since the order began; blocks that are done with this one
  int batch, samples;        // rows of a batch and of an epoch
  int rows;                  // of a step, where a batch is a chunk of several: see cuda_chunk.cu
  int numbers, has_numbers;  // how many rows of them; how many in each
  unsigned first[2], seed[2];  // of dropout: low and high words of the number of step 0, and the seed
};

struct Job {
  Control* control;
  const INPUT* X;                   // (n, d)
  const wide *offset, *factor;      // X enters as (X - offset) factor; 1, or one a column
  const int* order;                 // of rows, epoch after epoch
  const long long* labels;          // (n,), or none
  const real *Y, *weights;          // (n, k) or none, if the labels are the targets; (n,) or none
  const real* numbers;              // of the optimizer: a row a step, or one for all
  real *work, *losses, *hits;       // losses and hits: in the order of the rows
  int* tickets;                     // of each tile: how many of its parts are there
  real* flats[3];                   // the network's parameters, and what the optimizer keeps
  int layers, has_bias, loss, rule, keeps, size, is_scaled_by_column, is_mean, has_transposes, parts;
  int width[MOST_LAYERS + 1], stride[MOST_LAYERS + 1], f[MOST_LAYERS + 1];
  int W[MOST_LAYERS + 1], WT[MOST_LAYERS + 1];           // places in work, as A, S and D
  int A[MOST_LAYERS + 1], S[MOST_LAYERS + 1], D[MOST_LAYERS + 1];
  int flat_W[MOST_LAYERS + 1], flat_b[MOST_LAYERS + 1];  // places in the flat vectors
  unsigned threshold[MOST_LAYERS + 1];  // of 32 random bits, below which A is dropped
  real kept[MOST_LAYERS + 1];           // what A is multiplied by elsewhere
  real weight;                          // of each row, where weights are none
};

struct Batch {
  int step, first, count;  // rows first .. first + count of the order
  __device__ explicit Batch(const Control& now) : step(now.step) {
    const int steps = (now.samples + now.batch - 1) / now.batch, epoch = step / steps;
    const int begin = (step - epoch * steps) * now.batch;
    first = epoch * now.samples + begin;
    count = min(now.batch, now.samples - begin);
  }
};

__device__ inline int row_of(const Job& job, int place) { return job.order[place]; }
