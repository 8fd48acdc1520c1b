// Elementwise functions. One kernel serves all functions of an element type: the function is the same for a whole launch, so choosing
// it costs a branch that never diverges, and a call, not a copy of all functions for every element of a pack. UNARY_*, BINARY_* and COMPARE_* are the ordinals of the Java enums.
#include "strided.cuh"

#define MATH(name) \
    __device__ __forceinline__ float m_##name(float x) { return name##f(x); } \
    __device__ __forceinline__ double m_##name(double x) { return name(x); }
MATH(fabs) MATH(sqrt) MATH(exp) MATH(expm1) MATH(log) MATH(log1p) MATH(sin) MATH(cos) MATH(tanh) MATH(erf) MATH(floor)
__device__ __forceinline__ float m_pow(float a, float b) { return powf(a, b); }
__device__ __forceinline__ double m_pow(double a, double b) { return pow(a, b); }

template <class F> __device__ __forceinline__ F sigmoid(F x) {
    if (x >= 0) return 1 / (1 + m_exp(-x));
    F e = m_exp(x);
    return e / (1 + e);
}
template <class F> __device__ __noinline__ F unary_of(int op, F x) {
    switch (op) {
        case UNARY_NEG: return -x;
        case UNARY_ABS: return m_fabs(x);
        case UNARY_SIGN: return x > 0 ? (F) 1 : x < 0 ? (F) -1 : x;
        case UNARY_SQUARE: return x * x;
        case UNARY_SQRT: return m_sqrt(x);
        case UNARY_RSQRT: return 1 / m_sqrt(x);
        case UNARY_RECIPROCAL: return 1 / x;
        case UNARY_EXP: return m_exp(x);
        case UNARY_EXPM1: return m_expm1(x);
        case UNARY_LOG: return m_log(x);
        case UNARY_LOG1P: return m_log1p(x);
        case UNARY_SIN: return m_sin(x);
        case UNARY_COS: return m_cos(x);
        case UNARY_TANH: return m_tanh(x);
        case UNARY_ERF: return m_erf(x);
        case UNARY_SIGMOID: return sigmoid(x);
        case UNARY_SOFTPLUS: return is_nan(x) ? x : (x > 0 ? x : 0) + m_log1p(m_exp(-m_fabs(x)));
        case UNARY_RELU: return x > 0 ? x : is_nan(x) ? x : (F) 0;
        case UNARY_SILU: return x * sigmoid(x);
        case UNARY_GELU: return (F) 0.5 * x * (1 + m_erf(x * (F) 0.70710678118654752440));
        case UNARY_GELU_TANH: return (F) 0.5 * x * (1 + m_tanh((F) 0.79788456080286535588 * (x + (F) 0.044715 * x * x * x)));
        case UNARY_FLOOR: return m_floor(x);
        default: return x;
    }
}
template <> __device__ __noinline__ i64 unary_of<i64>(int op, i64 x) {
    switch (op) {
        case UNARY_NEG: return (i64) (0 - (u64) x);
        case UNARY_ABS: return x < 0 ? (i64) (0 - (u64) x) : x;
        case UNARY_SIGN: return x > 0 ? 1 : x < 0 ? -1 : 0;
        case UNARY_SQUARE: return product_of(x, x);
        case UNARY_NOT: return x == 0;
        default: return x;
    }
}

template <class F> __device__ __noinline__ F binary_of(int op, F a, F b) {
    switch (op) {
        case BINARY_ADD: return a + b;
        case BINARY_SUB: return a - b;
        case BINARY_MUL: return a * b;
        case BINARY_DIV: return a / b;
        case BINARY_POW: return m_pow(a, b);
        case BINARY_MAX: return greater(a, b);
        case BINARY_MIN: return lesser(a, b);
        case BINARY_MOD: return a - b * m_floor(a / b);
        default: return a;
    }
}
__device__ __forceinline__ i64 power(i64 base, i64 exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
    u64 result = 1, square = (u64) base;
    for (i64 e = exponent; e > 0; e >>= 1) {
        if (e & 1) result *= square;
        square *= square;
    }
    return (i64) result;
}
template <> __device__ __noinline__ i64 binary_of<i64>(int op, i64 a, i64 b) {
    switch (op) {
        case BINARY_ADD: return sum_of(a, b);
        case BINARY_SUB: return (i64) ((u64) a - (u64) b);
        case BINARY_MUL: return product_of(a, b);
        case BINARY_DIV: return b == 0 ? 0 : b == -1 ? (i64) (0 - (u64) a) : a / b;
        case BINARY_POW: return power(a, b);
        case BINARY_MAX: return a > b ? a : b;
        case BINARY_MIN: return a < b ? a : b;
        case BINARY_MOD: {
            if (b == 0 || b == -1) return 0;
            i64 r = a % b;
            return r != 0 && (r < 0) != (b < 0) ? r + b : r;
        }
        case BINARY_AND: return a != 0 && b != 0;
        case BINARY_OR: return a != 0 || b != 0;
        default: return a;
    }
}
template <class C> __device__ __forceinline__ bool compare_of(int op, C a, C b) {
    switch (op) {
        case COMPARE_EQ: return a == b;
        case COMPARE_NE: return a != b;
        case COMPARE_LT: return a < b;
        case COMPARE_LE: return a <= b;
        case COMPARE_GT: return a > b;
        default: return a >= b;
    }
}

// Sixteen bytes of elements at a time, for operands without gaps that lie at a multiple of 16.
template <class T> struct alignas(16) Pack { T at[16 / sizeof(T)]; };

// y[i] = f(x[i]); y is dense in the order of the space.
template <class T> __global__ void unary(int op, const T* x, T* y, i64 n, Space<1> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[1];
        locate(space, i, at);
        y[i] = Element<T>::of(unary_of(op, number(x[at[0]])));
    }
}
template <class T> __global__ void unary_packed(int op, const Pack<T>* x, Pack<T>* y, i64 packs) {
    for (i64 i = grid_thread(); i < packs; i += grid_threads()) {
        Pack<T> p = x[i];
#pragma unroll
        for (int k = 0; k < 16 / (int) sizeof(T); k++) p.at[k] = Element<T>::of(unary_of(op, number(p.at[k])));
        y[i] = p;
    }
}
template <class T> __global__ void binary(int op, const T* a, const T* b, T* y, i64 n, Space<2> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[2];
        locate(space, i, at);
        y[i] = Element<T>::of(binary_of(op, number(a[at[0]]), number(b[at[1]])));
    }
}
template <class T> __global__ void binary_packed(int op, const Pack<T>* a, const Pack<T>* b, Pack<T>* y, i64 packs) {
    for (i64 i = grid_thread(); i < packs; i += grid_threads()) {
        Pack<T> p = a[i], q = b[i];
#pragma unroll
        for (int k = 0; k < 16 / (int) sizeof(T); k++) p.at[k] = Element<T>::of(binary_of(op, number(p.at[k]), number(q.at[k])));
        y[i] = p;
    }
}
// y[i] = f(x[i], s), or f(s, x[i]) when reversed. The scalar comes as a double and as an integer.
template <class T> __device__ __forceinline__ T with_scalar(int op, T x, double s, i64 whole, int reversed) {
    typedef typename Compute<T>::type C;
    C c = (C) 0.5 == (C) 0 ? (C) whole : (C) s;        // integer types take the integer
    return Element<T>::of(reversed ? binary_of(op, c, number(x)) : binary_of(op, number(x), c));
}
template <class T> __global__ void scalar(int op, const T* x, double s, i64 whole, int reversed, T* y, i64 n, Space<1> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[1];
        locate(space, i, at);
        y[i] = with_scalar(op, x[at[0]], s, whole, reversed);
    }
}
template <class T> __global__ void scalar_packed(int op, const Pack<T>* x, double s, i64 whole, int reversed, Pack<T>* y, i64 packs) {
    for (i64 i = grid_thread(); i < packs; i += grid_threads()) {
        Pack<T> p = x[i];
#pragma unroll
        for (int k = 0; k < 16 / (int) sizeof(T); k++) p.at[k] = with_scalar(op, p.at[k], s, whole, reversed);
        y[i] = p;
    }
}
template <class T> __global__ void compare(int op, const T* a, const T* b, u8* y, i64 n, Space<2> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[2];
        locate(space, i, at);
        y[i] = compare_of(op, number(a[at[0]]), number(b[at[1]]));
    }
}
