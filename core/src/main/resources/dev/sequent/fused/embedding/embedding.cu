// Look-up of rows of a table (V, D) by ids, and its derivative. Ids have been checked, except in replays of a graph:
// there, one outside of the table gives NaN, and has no part in the derivative.
//
// The derivative adds up the rows of dy that have the same id, in ascending order of position, without atomics and without sorting: a block
// belongs to a position, leaves if an earlier position has the same id, and otherwise adds up its own row and all later ones of that id.
// Comparing ids costs n^2 / 2 reads from the cache at worst; most blocks find an earlier occurrence soon.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 128;
constexpr int COLUMNS = 4;          // of a thread

template <class T, class I> __global__ void embedding_forward(const T* table, const I* ids, T* y, i64 size, i64 vocabulary, int width) {
    for (i64 i = grid_thread(); i < size; i += grid_threads()) {
        const i64 id = ids[i / width];
        y[i] = id >= 0 && id < vocabulary ? table[id * width + i % width] : from_float<T>(QUIET_NAN);
    }
}

template <class T> __global__ void fill_zero(T* x, i64 size) {
    for (i64 i = grid_thread(); i < size; i += grid_threads()) x[i] = from_float<T>(0.f);
}

// Adds the rows of dy (n, D) to those of dtable, which is zero, where nothing belongs; grid (positions, blocks of THREADS COLUMNS columns).
template <class T, class I> __global__ void __launch_bounds__(THREADS)
embedding_backward(const T* dy, const I* ids, T* dtable, i64 n, i64 vocabulary, int width) {
    SHARED(i64, sIds, [THREADS]);
    const i64 own = blockIdx.x, id = ids[own];
    if (id < 0 || id >= vocabulary) return;                     // the whole block
    // newest first, because a frequent id has occurred shortly before
    for (i64 end = own; end > 0; end -= THREADS) {
        const i64 i = end - 1 - threadIdx.x;
        if (__syncthreads_or(i >= 0 && ids[i] == id)) return;
    }
    const int first = blockIdx.y * THREADS * COLUMNS + threadIdx.x;
    float sum[COLUMNS] = {};
    for (i64 start = own; start < n; start += THREADS) {
        __syncthreads();
        sIds[threadIdx.x] = start + threadIdx.x < n ? (i64) ids[start + threadIdx.x] : -1;
        __syncthreads();
        for (int k = 0; k < THREADS; k++) {
            if (sIds[k] != id) continue;
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                const int column = first + c * THREADS;
                if (column < width) sum[c] += to_float(dy[(start + k) * width + column]);
            }
        }
    }
#pragma unroll
    for (int c = 0; c < COLUMNS; c++) {
        const int column = first + c * THREADS;
        if (column < width) dtable[id * width + column] = from_float<T>(sum[c]);
    }
}
