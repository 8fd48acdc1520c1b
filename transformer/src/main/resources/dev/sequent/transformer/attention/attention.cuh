// What the attention kernels share: sizes, and who sees whom.
#pragma once
#include "sequent.cuh"
#include "fused.cuh"

constexpr float LOG2E = 1.4426950408889634f, LN2 = 0.6931471805599453f;

// Sizes, the mask's numbers, and the distances of sequences, tokens and heads of q (B, T, H, P), k and v (B, S, G, P).
struct Sizes {
    i64 queries, keys, heads, groups, causal, window, qBatch, qToken, qHead, kBatch, kToken, kHead, vBatch, vToken, vHead;
};
// The mask's arrays, null where absent: positions of first queries (B), documents of queries (B, T) and of keys (B, S).
struct Mask {
    const int *offsets, *queryDocuments, *keyDocuments;
};

// Who sees whom in one sequence: query i stands at key position i + offset; see AttentionMask.
struct Sight {
    int queries, keys, offset, window;
    bool causal;
    const int *queryDocuments, *keyDocuments;
    __device__ Sight(const Sizes& n, const Mask& mask, int batch) {
        queries = (int) n.queries;
        keys = (int) n.keys;
        offset = mask.offsets ? mask.offsets[batch] : keys - queries;
        window = (int) n.window;
        causal = n.causal;
        queryDocuments = mask.queryDocuments ? mask.queryDocuments + batch * n.queries : nullptr;
        keyDocuments = mask.keyDocuments ? mask.keyDocuments + batch * n.keys : nullptr;
    }
    __device__ int first_key(int i) const { return min(max(i + offset - window + 1, 0), keys); }
    __device__ int end_key(int i) const { return causal ? min(max(i + offset + 1, 0), keys) : keys; }
    __device__ int first_query(int j) const { return causal ? min(max(j - offset, 0), queries) : 0; }
    __device__ int end_query(int j) const { return min(max(j - offset + window, 0), queries); }
    // Whether a token is there and not padding.
    __device__ bool has_query(int i) const { return i < queries && (!queryDocuments || queryDocuments[i] >= 0); }
    __device__ bool has_key(int j) const { return j < keys && (!keyDocuments || keyDocuments[j] >= 0); }
    __device__ bool sees(int i, int j) const {
        return has_query(i) && j >= first_key(i) && j < end_key(i) && (!queryDocuments || queryDocuments[i] == keyDocuments[j]);
    }
};

// delta (B, H, T) = <dout, out> of every query and head, which the derivative of the softmax subtracts; a warp for each. Both (B, T, H,
// WIDTH), dense.
template <class T> __global__ void attention_delta(const T* dout, const T* out, float* delta, i64 rows, int queries, int heads) {
    for (i64 row = grid_thread() / 32; row < rows; row += grid_threads() / 32) {
        float sum = 0.f;
        for (int c = threadIdx.x % 32; c < WIDTH; c += 32) sum += to_float(dout[row * WIDTH + c]) * to_float(out[row * WIDTH + c]);
        sum = warp_sum(sum);
        const i64 batch = row / heads / queries, query = row / heads % queries, head = row % heads;
        if (threadIdx.x % 32 == 0) delta[(batch * heads + head) * queries + query] = sum;
    }
}
