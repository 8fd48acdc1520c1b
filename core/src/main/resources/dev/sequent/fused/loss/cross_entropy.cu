// Cross-entropy of softmax(logits) with integer targets, for the rows of a (rows, V) matrix:
//
//   loss_r = logsumexp(x_r) - x_r[t_r]      its gradient by the logits: softmax(x_r) - onehot(t_r)
//
// Targets have been checked to be below V, except in replays of a graph: there, the loss of one that is not is NaN. A row whose target is negative is ignored: loss and gradient are 0, whatever its logits. A block takes a row at a time: largest logit and
// sum of exponentials in one pass over the row, the gradient in a second one that finds the row in the cache.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 256;

template <class T, class I> __device__ __forceinline__ float target_logit(const T* row, I target, int width) {
    return target < width ? to_float(row[target]) : QUIET_NAN;
}

// Loss and logsumexp of every row.
template <class T, class I> __global__ void __launch_bounds__(THREADS)
loss_forward(const T* logits, const I* targets, T* loss, float* lse, i64 rows, int width) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const Exponentials e = row_exponentials<THREADS>(logits + row * width, width);
        const I target = targets[row];
        if (threadIdx.x == 0) {
            lse[row] = e.largest + logf(e.sum);
            loss[row] = from_float<T>(target < 0 ? 0.f : e.largest - target_logit(logits + row * width, target, width) + logf(e.sum));
        }
    }
}

// The gradient by the logits, given that of every row's loss.
template <class T, class I> __global__ void __launch_bounds__(THREADS)
loss_backward(const T* dloss, const T* logits, const I* targets, const float* lse, T* dlogits, i64 rows, int width) {
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const I target = targets[row];
        const float scale = target < 0 ? 0.f : to_float(dloss[row]);
        for (int i = threadIdx.x; i < width; i += THREADS) {
            const float p = target < 0 ? 0.f : expf(to_float(logits[row * width + i]) - lse[row]) - (i == target ? 1.f : 0.f);
            dlogits[row * width + i] = from_float<T>(p * scale);
        }
    }
}

// Loss of every row in float, and, if `gradient` is given, the gradient of the mean over the rows with a target, of which there
// are found[1] (see check_indices).
template <class T, class I> __global__ void __launch_bounds__(THREADS)
loss_and_gradient(const T* logits, const I* targets, float* losses, T* gradient, const i64* found, i64 rows, int width) {
    const float scale = 1.f / (found[1] > 1 ? found[1] : 1);
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const I target = targets[row];
        Exponentials e = {0.f, 1.f};
        if (target >= 0) e = row_exponentials<THREADS>(logits + row * width, width);
        if (threadIdx.x == 0) losses[row] = target < 0 ? 0.f : e.largest - target_logit(logits + row * width, target, width) + logf(e.sum);
        const float factor = scale / e.sum;
        for (int i = threadIdx.x; i < width && gradient; i += THREADS) {
            const float p = target < 0 ? 0.f : expf(to_float(logits[row * width + i]) - e.largest) * factor - (i == target ? scale : 0.f);
            gradient[row * width + i] = from_float<T>(p);
        }
    }
}

// The mean of the losses of rows with a target, by one block.
template <class T> __global__ void __launch_bounds__(THREADS) mean_loss(const float* losses, i64 rows, const i64* found, T* mean) {
    double sum = 0;
    for (i64 row = threadIdx.x; row < rows; row += THREADS) sum += losses[row];
    sum = block_sum<THREADS>(sum);
    if (threadIdx.x == 0) *mean = from_float<T>((float) (sum / (found[1] > 1 ? found[1] : 1)));
}
