// SwiGLU (Shazeer 2020), y = silu(gate) up, forward and backward. Element i of y belongs to element gateAt + at of gate and upAt + at of
// up, where at = i / width distance + i % width: two tensors without gaps, or the halves of the rows of one. A thread takes elements at the
// distance of the whole grid.
#include "sequent.cuh"
#include "fused.cuh"

template <class T> __global__ void swiglu_forward(const T* gate, int gateAt, const T* up, int upAt, T* y, i64 size, int width,
        i64 distance) {
    for (i64 i = grid_thread(); i < size; i += grid_threads()) {
        const i64 at = i / width * distance + i % width;
        y[i] = from_float<T>(silu(to_float(gate[gateAt + at])) * to_float(up[upAt + at]));
    }
}

// The derivatives lie as gate and up do.
template <class T> __global__ void swiglu_backward(const T* dy, const T* gate, int gateAt, const T* up, int upAt, T* dgate, T* dup,
        i64 size, int width,
        i64 distance) {
    for (i64 i = grid_thread(); i < size; i += grid_threads()) {
        const i64 at = i / width * distance + i % width;
        const float d = to_float(dy[i]), g = to_float(gate[gateAt + at]), u = to_float(up[upAt + at]);
        dgate[gateAt + at] = from_float<T>(d * u * silu_slope(g));
        dup[upAt + at] = from_float<T>(d * silu(g));
    }
}
