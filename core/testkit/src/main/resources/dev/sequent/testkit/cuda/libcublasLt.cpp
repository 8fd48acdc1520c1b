// A stand-in for libcublasLt.so: the matrix product of its descriptors in three loops, in the order of the stream.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <string>
#include <vector>

typedef int R;
typedef unsigned long long P;
enum { OK = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, COMPUTE_32F_FAST_TF32 = 77, COMPUTE_64F = 70 };
struct Desc { int compute, scale, transA = 0, transB = 0, epilogue = 1; };
struct Layout { int type; uint64_t rows, cols; int64_t ld; int batch = 1; int64_t stride = 0; };
struct Preference { uint64_t workspace = 0; uint32_t align[4] = {256, 256, 256, 256}; };
struct Algo { uint64_t magic[8]; size_t workspace; int state; float waves; int reserved[4]; };
static_assert(sizeof(Algo) == 96, "the layout of cublasLtMatmulHeuristicResult_t");
constexpr uint64_t MAGIC = 0x5e40e47;
#define API extern "C" __attribute__((visibility("default"))) R

static R (*submit)(void*, std::function<R()>*);
static bool (*inside)(P, size_t);

static int bytes(int type) { return type == R_64F ? 8 : type == R_32F ? 4 : 2; }
static float half(uint16_t h) {
    int e = h >> 10 & 31, m = h & 1023;
    float v = e == 31 ? (m ? NAN : INFINITY) : e ? std::ldexp(1024.f + m, e - 25) : std::ldexp((float) m, -24);
    return h >> 15 ? -v : v;
}
static uint16_t half(float f) {
    uint16_t sign = std::signbit(f) << 15;
    float a = std::fabs(f);
    if (std::isnan(f)) return sign | 0x7e00;
    if (a >= 65520.f) return sign | 0x7c00;
    int e = a == 0 ? -14 : std::max(std::ilogb(a), -14);
    float steps = std::nearbyint(std::ldexp(a, 10 - e));
    return sign | (uint16_t) (steps + (e + 14) * 1024.f);
}
static double load(int type, P p, int64_t i) {
    if (type == R_64F) return ((double*) p)[i];
    if (type == R_32F) return ((float*) p)[i];
    uint16_t h = ((uint16_t*) p)[i];
    if (type == R_16F) return half(h);
    uint32_t u = (uint32_t) h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static void store(int type, P p, int64_t i, double v) {
    if (type == R_64F) ((double*) p)[i] = v;
    else if (type == R_32F) ((float*) p)[i] = (float) v;
    else if (type == R_16F) ((uint16_t*) p)[i] = half((float) v);
    else {
        float f = (float) v;
        uint32_t u;
        memcpy(&u, &f, 4);
        ((uint16_t*) p)[i] = std::isnan(f) ? 0x7fc0 : (uint16_t) ((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }
}
template <class S> static void product(const Desc& d, double alpha, P a, const Layout& la, P b, const Layout& lb, double beta, P c, const Layout& lc) {
    int64_t m = lc.rows, n = lc.cols, k = d.transA ? la.rows : la.cols;
    for (int batch = 0; batch < lc.batch; batch++) for (int64_t j = 0; j < n; j++) for (int64_t i = 0; i < m; i++) {
        S sum = 0;
        for (int64_t l = 0; l < k; l++) {
            int64_t ia = d.transA ? l + i * la.ld : i + l * la.ld, ib = d.transB ? j + l * lb.ld : l + j * lb.ld;
            sum += (S) load(la.type, a, batch * la.stride + ia) * (S) load(lb.type, b, batch * lb.stride + ib);
        }
        int64_t at = batch * lc.stride + i + j * lc.ld;
        store(lc.type, c, at, (double) ((S) alpha * sum) + (beta != 0 ? beta * load(lc.type, c, at) : 0));
    }
}

API cublasLtCreate(void** h) {
    Dl_info info;
    dladdr((void*) cublasLtCreate, &info);
    std::string path = info.dli_fname;
    void* driver = dlopen((path.substr(0, path.rfind('/')) + "/libcuda.so.1").c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (!driver) return NOT_INITIALIZED;
    submit = (decltype(submit)) dlsym(driver, "cuemu_submit");
    inside = (decltype(inside)) dlsym(driver, "cuemu_inside");
    *h = new int;
    return OK;
}
API cublasLtDestroy(void* h) { delete (int*) h; return OK; }
extern "C" __attribute__((visibility("default"))) size_t cublasLtGetVersion() { return 130000; }
extern "C" __attribute__((visibility("default"))) const char* cublasLtGetStatusName(R r) {
    return r == OK ? "CUBLAS_STATUS_SUCCESS" : r == INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE" : r == NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS";
}
API cublasLtMatmulDescCreate(void** d, int compute, int scale) { *d = new Desc{compute, scale}; return OK; }
API cublasLtMatmulDescDestroy(void* d) { delete (Desc*) d; return OK; }
API cublasLtMatmulDescSetAttribute(void* v, int a, const void* p, size_t n) {
    auto* d = (Desc*) v;
    if (n != 4) return INVALID_VALUE;
    int* to = a == 3 ? &d->transA : a == 4 ? &d->transB : a == 7 ? &d->epilogue : nullptr;
    if (!to) return INVALID_VALUE;
    memcpy(to, p, 4);
    return OK;
}
API cublasLtMatrixLayoutCreate(void** l, int type, uint64_t rows, uint64_t cols, int64_t ld) {
    if (ld < (int64_t) rows || !rows || !cols) return INVALID_VALUE;
    *l = new Layout{type, rows, cols, ld};
    return OK;
}
API cublasLtMatrixLayoutDestroy(void* l) { delete (Layout*) l; return OK; }
API cublasLtMatrixLayoutSetAttribute(void* v, int a, const void* p, size_t n) {
    auto* l = (Layout*) v;
    if (a == 5 && n == 4) memcpy(&l->batch, p, 4);
    else if (a == 6 && n == 8) memcpy(&l->stride, p, 8);
    else return INVALID_VALUE;
    return OK;
}
API cublasLtMatmulPreferenceCreate(void** p) { *p = new Preference; return OK; }
API cublasLtMatmulPreferenceDestroy(void* p) { delete (Preference*) p; return OK; }
API cublasLtMatmulPreferenceSetAttribute(void* v, int a, const void* p, size_t n) {
    auto* pref = (Preference*) v;
    if (a == 1 && n == 8) memcpy(&pref->workspace, p, 8);
    else if (a >= 5 && a <= 8 && n == 4) memcpy(&pref->align[a - 5], p, 4);
    else return INVALID_VALUE;
    return OK;
}
static bool fits(const Desc& d, const Layout& a, const Layout& b, const Layout& c) {
    uint64_t m = d.transA ? a.cols : a.rows, ka = d.transA ? a.rows : a.cols, kb = d.transB ? b.cols : b.rows, n = d.transB ? b.rows : b.cols;
    return m == c.rows && n == c.cols && ka == kb && a.batch == c.batch && b.batch == c.batch && a.type == b.type && a.type == c.type;
}
API cublasLtMatmulAlgoGetHeuristic(void*, void* d, void* a, void* b, void* c, void* out, void* p, int requested, Algo* result, int* found) {
    auto& desc = *(Desc*) d;
    int type = ((Layout*) a)->type;
    bool is64 = type == R_64F;
    *found = 0;
    if (requested < 1 || c != out || !fits(desc, *(Layout*) a, *(Layout*) b, *(Layout*) c)) return INVALID_VALUE;
    if (is64 ? desc.compute != COMPUTE_64F || desc.scale != R_64F : desc.scale != R_32F || desc.compute == COMPUTE_64F) return NOT_SUPPORTED;
    if (desc.compute == COMPUTE_32F_FAST_TF32 && type != R_32F) return NOT_SUPPORTED;
    memset(result, 0, sizeof *result);
    result->magic[0] = MAGIC;
    for (int i = 0; i < 3; i++) result->magic[i + 1] = ((Preference*) p)->align[i];
    result->workspace = ((Preference*) p)->workspace / 2;       // so that the workspace that is passed is really checked
    *found = 1;
    return OK;
}
API cublasLtMatmul(void*, void* d, const void* alpha, const void* a, void* la, const void* b, void* lb, const void* beta, const void* c, void* lc, void* out, void* lo,
        const Algo* algo, void* work, size_t room, void* stream) {
    auto desc = *(Desc*) d;
    auto A = *(Layout*) la, B = *(Layout*) lb, C = *(Layout*) lc;
    if (!algo || algo->magic[0] != MAGIC || c != out || lc != lo || !fits(desc, A, B, C) || room < algo->workspace) return INVALID_VALUE;
    if ((P) a % algo->magic[1] || (P) b % algo->magic[2] || (P) out % algo->magic[3]) return INVALID_VALUE;
    if (algo->workspace && !inside((P) work, room)) return INVALID_VALUE;
    auto reach = [](const Layout& l) { return (size_t) ((l.batch - 1) * l.stride + (int64_t) (l.cols - 1) * l.ld + (int64_t) l.rows) * bytes(l.type); };
    if (!inside((P) a, reach(A)) || !inside((P) b, reach(B)) || !inside((P) out, reach(C))) return INVALID_VALUE;
    bool is64 = desc.scale == R_64F;
    double al = is64 ? *(double*) alpha : *(float*) alpha, be = is64 ? *(double*) beta : *(float*) beta;
    size_t workspace = algo->workspace;
    std::function<R()> run = [=] {
        if (is64) product<double>(desc, al, (P) a, A, (P) b, B, be, (P) out, C);
        else product<float>(desc, al, (P) a, A, (P) b, B, be, (P) out, C);
        if (workspace) memset(work, 0xff, workspace);
        return 0;
    };
    return submit(stream, &run) ? EXECUTION_FAILED : OK;
}
