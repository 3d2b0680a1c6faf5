// Device: what only a GPU's compiler is to see.
extern __shared__ float4 shared_memory[];
#define SHARED(type, name) type* name = (type*)shared_memory
