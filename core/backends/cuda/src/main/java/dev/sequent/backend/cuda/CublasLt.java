package dev.sequent.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sequent.type.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The matrix product of cuBLASLt. Names and constants are those of {@code cublasLt.h} and {@code library_types.h}. Thread-safe. */
final class CublasLt {
    private static final int COMPUTE_32F = 68;
    private static final int COMPUTE_64F = 70;
    private static final int COMPUTE_32F_FAST_TF32 = 77;
    private static final int DESCRIPTOR_TRANSPOSE_A = 3;
    private static final int DESCRIPTOR_TRANSPOSE_B = 4;
    private static final int LAYOUT_BATCH_COUNT = 5;
    private static final int LAYOUT_BATCH_STRIDE = 6;
    private static final int PREFERENCE_WORKSPACE = 1;
    private static final int PREFERENCE_ALIGNMENT_A = 5;
    /** Size of cublasLtMatmulHeuristicResult_t, which begins with the algorithm; the size of the workspace follows it. */
    private static final int HEURISTIC_BYTES = 96;
    private static final int HEURISTIC_WORKSPACE = 64;
    private static final int NAME_BYTES = 256;

    private final MethodHandle version;
    private final MethodHandle statusName;
    private final MethodHandle create;
    private final MethodHandle destroy;
    private final MethodHandle descriptorCreate;
    private final MethodHandle descriptorDestroy;
    private final MethodHandle descriptorSet;
    private final MethodHandle layoutCreate;
    private final MethodHandle layoutDestroy;
    private final MethodHandle layoutSet;
    private final MethodHandle preferenceCreate;
    private final MethodHandle preferenceDestroy;
    private final MethodHandle preferenceSet;
    private final MethodHandle heuristic;
    private final MethodHandle matmul;

    /** Binds the functions; an {@link IllegalArgumentException} names one that is missing. */
    CublasLt(NativeLibrary library) {
        version = library.function(FunctionDescriptor.of(JAVA_LONG), "cublasLtGetVersion");
        statusName = library.function(FunctionDescriptor.of(ADDRESS, JAVA_INT), "cublasLtGetStatusName");
        create = library.function("cublasLtCreate", ADDRESS);
        destroy = library.function("cublasLtDestroy", JAVA_LONG);
        descriptorCreate = library.function("cublasLtMatmulDescCreate", ADDRESS, JAVA_INT, JAVA_INT);
        descriptorDestroy = library.function("cublasLtMatmulDescDestroy", JAVA_LONG);
        descriptorSet = library.function("cublasLtMatmulDescSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
        layoutCreate = library.function("cublasLtMatrixLayoutCreate", ADDRESS, JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG);
        layoutDestroy = library.function("cublasLtMatrixLayoutDestroy", JAVA_LONG);
        layoutSet = library.function("cublasLtMatrixLayoutSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
        preferenceCreate = library.function("cublasLtMatmulPreferenceCreate", ADDRESS);
        preferenceDestroy = library.function("cublasLtMatmulPreferenceDestroy", JAVA_LONG);
        preferenceSet = library.function("cublasLtMatmulPreferenceSetAttribute", JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG);
        heuristic = library.function("cublasLtMatmulAlgoGetHeuristic", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG,
                JAVA_LONG, JAVA_INT, ADDRESS, ADDRESS);
        matmul = library.function("cublasLtMatmul", JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS,
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);
    }

    /**
     * One side of a product as it lies in memory, row-major.
     *
     * @param rows stored rows
     * @param columns stored columns
     * @param distance of rows, in elements
     * @param batchDistance of matrices, in elements
     * @param alignment largest power of two, at most 256, that divides the addresses
     */
    record Matrix(long rows, long columns, long distance, long batchDistance, int alignment) {}

    /**
     * Everything on which the choice of an algorithm depends: C = op(A) op(B), row-major.
     *
     * @param dtype of all three matrices: F32, BF16, F16 or F64
     * @param tf32 whether F32 products may use tensor cores, which round the factors to 10 bits
     */
    record Problem(DType dtype, boolean tf32, int batch, Matrix a, boolean transposeA, Matrix b, boolean transposeB, Matrix c) {}

    /** For example 130001. */
    long version() {
        try {
            return (long) version.invokeExact();
        } catch (Throwable t) {
            throw Driver.failed("cublasLtGetVersion", t);
        }
    }

    /** A handle on the current context. */
    long create() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG);
            check("cublasLtCreate", (int) create.invokeExact(out));
            return out.get(JAVA_LONG, 0);
        } catch (Throwable t) {
            throw Driver.failed("cublasLtCreate", t);
        }
    }

    void destroy(long handle) {
        try {
            check("cublasLtDestroy", (int) destroy.invokeExact(handle));
        } catch (Throwable t) {
            throw Driver.failed("cublasLtDestroy", t);
        }
    }

    private void check(String call, int status) throws Throwable {
        if (status != 0) {
            throw new CudaException(call, status, statusText(status), "");
        }
    }

    @SuppressWarnings("restricted")
    private String statusText(int status) throws Throwable {
        MemorySegment name = (MemorySegment) statusName.invokeExact(status);
        return name.address() == 0 ? "status " + status : name.reinterpret(NAME_BYTES).getString(0);
    }

    /**
     * Descriptors and algorithm for one problem. cuBLASLt thinks in columns: a row-major C = A B is the column-major product of the
     * transposed matrices, so B comes first and the distances of rows stay.
     */
    final class Plan {
        private final Arena arena = Arena.ofShared();
        private final long descriptor;
        private final long left;
        private final long right;
        private final long result;
        private final MemorySegment algorithm;
        private final MemorySegment one;
        private final MemorySegment zero;
        private final boolean found;

        /** Chooses an algorithm; {@link #found} is false where the library has none. */
        Plan(long handle, Problem p, long workspace) {
            boolean wide = p.dtype == DType.F64;
            int scale = type(wide ? DType.F64 : DType.F32);
            int compute = wide ? COMPUTE_64F : p.tf32 && p.dtype == DType.F32 ? COMPUTE_32F_FAST_TF32 : COMPUTE_32F;
            one = wide ? arena.allocateFrom(JAVA_DOUBLE, 1) : arena.allocateFrom(JAVA_FLOAT, 1);
            zero = wide ? arena.allocateFrom(JAVA_DOUBLE, 0) : arena.allocateFrom(JAVA_FLOAT, 0);
            algorithm = arena.allocate(HEURISTIC_BYTES, JAVA_LONG.byteAlignment());
            try {
                MemorySegment out = arena.allocate(JAVA_LONG);
                MemorySegment value = arena.allocate(JAVA_LONG);
                check("cublasLtMatmulDescCreate", (int) descriptorCreate.invokeExact(out, compute, scale));
                descriptor = out.get(JAVA_LONG, 0);
                setTranspose(DESCRIPTOR_TRANSPOSE_A, p.transposeB, value);
                setTranspose(DESCRIPTOR_TRANSPOSE_B, p.transposeA, value);
                left = layout(p, p.b, out, value);
                right = layout(p, p.a, out, value);
                result = layout(p, p.c, out, value);
                found = choose(handle, p, workspace, out, value);
            } catch (Throwable t) {
                throw Driver.failed("cublasLtMatmul plan", t);
            }
        }

        private void setTranspose(int attribute, boolean transpose, MemorySegment value) throws Throwable {
            value.set(JAVA_INT, 0, transpose ? 1 : 0);
            check("cublasLtMatmulDescSetAttribute", (int) descriptorSet.invokeExact(descriptor, attribute, value, JAVA_INT.byteSize()));
        }

        private long layout(Problem p, Matrix m, MemorySegment out, MemorySegment value) throws Throwable {
            check("cublasLtMatrixLayoutCreate", (int) layoutCreate.invokeExact(out, type(p.dtype), m.columns, m.rows, m.distance));
            long layout = out.get(JAVA_LONG, 0);
            if (p.batch > 1) {
                value.set(JAVA_INT, 0, p.batch);
                check("cublasLtMatrixLayoutSetAttribute", (int) layoutSet.invokeExact(layout, LAYOUT_BATCH_COUNT, value,
                        JAVA_INT.byteSize()));
                value.set(JAVA_LONG, 0, m.batchDistance);
                check("cublasLtMatrixLayoutSetAttribute", (int) layoutSet.invokeExact(layout, LAYOUT_BATCH_STRIDE, value,
                        JAVA_LONG.byteSize()));
            }
            return layout;
        }

        private boolean choose(long handle, Problem p, long workspace, MemorySegment out, MemorySegment value) throws Throwable {
            check("cublasLtMatmulPreferenceCreate", (int) preferenceCreate.invokeExact(out));
            long preference = out.get(JAVA_LONG, 0);
            value.set(JAVA_LONG, 0, workspace);
            check("cublasLtMatmulPreferenceSetAttribute", (int) preferenceSet.invokeExact(preference, PREFERENCE_WORKSPACE, value,
                    JAVA_LONG.byteSize()));
            int[] alignments = {p.b.alignment, p.a.alignment, p.c.alignment, p.c.alignment};
            for (int i = 0; i < alignments.length; i++) {
                value.set(JAVA_INT, 0, alignments[i]);
                check("cublasLtMatmulPreferenceSetAttribute",
                        (int) preferenceSet.invokeExact(preference, PREFERENCE_ALIGNMENT_A + i, value, JAVA_INT.byteSize()));
            }
            out.set(JAVA_LONG, 0, 0);
            int status = (int) heuristic.invokeExact(handle, descriptor, left, right, result, result, preference, 1, algorithm, out);
            check("cublasLtMatmulPreferenceDestroy", (int) preferenceDestroy.invokeExact(preference));
            return status == 0 && out.get(JAVA_INT, 0) > 0;
        }

        /** Whether the library has an algorithm for the problem. */
        boolean found() {
            return found;
        }

        /** Bytes of workspace that the algorithm uses. */
        long workspace() {
            return algorithm.get(JAVA_LONG, HEURISTIC_WORKSPACE);
        }

        /** Submits the product; arguments are device addresses. */
        void run(long handle, long a, long b, long c, long workspace, long workspaceBytes, long stream) {
            try {
                check("cublasLtMatmul", (int) matmul.invokeExact(handle, descriptor, one, b, left, a, right, zero, c, result, c, result,
                        algorithm, workspace, workspaceBytes, stream));
            } catch (Throwable t) {
                throw Driver.failed("cublasLtMatmul", t);
            }
        }

        void close() {
            try {
                check("cublasLtMatrixLayoutDestroy", (int) layoutDestroy.invokeExact(left));
                check("cublasLtMatrixLayoutDestroy", (int) layoutDestroy.invokeExact(right));
                check("cublasLtMatrixLayoutDestroy", (int) layoutDestroy.invokeExact(result));
                check("cublasLtMatmulDescDestroy", (int) descriptorDestroy.invokeExact(descriptor));
            } catch (Throwable t) {
                throw Driver.failed("cublasLtMatmulDescDestroy", t);
            } finally {
                arena.close();
            }
        }
    }

    /** cudaDataType. */
    private static int type(DType dtype) {
        return switch (dtype) {
            case F32 -> 0;
            case F64 -> 1;
            case F16 -> 2;
            case BF16 -> 14;
            case I64, I32, BOOL -> throw new IllegalArgumentException("no matrix product of " + dtype);
        };
    }
}
