package dev.sequent.backend.cuda;

import dev.sequent.backend.cuda.CublasLt.Matrix;
import dev.sequent.backend.cuda.CublasLt.Plan;
import dev.sequent.backend.cuda.CublasLt.Problem;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.Layout;
import dev.sequent.spi.Layout.Space;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Arrays;
import java.util.LinkedHashMap;

/**
 * Matrix products on one device: floats by cuBLASLt, one plan per size, layout and alignment; integers, and what cuBLASLt has no algorithm
 * for, by a kernel of our own. Transposed views and evenly spaced batches are multiplied where they lie. Called with the device's lock.
 */
final class Matmul {
    private static final long WORKSPACE = 32L << 20;
    private static final int MAX_PLANS = 1024;
    private static final int MAX_ALIGNMENT = 256;
    private static final int TILE = 16;
    private static final int MAX_GRID_YZ = 65_535;

    private final CudaDevice device;
    private final CublasLt blas;
    private final long handle;
    private final boolean tf32;
    private final Kernels kernels;
    private final Movement movement;
    private final Elementwise elementwise;
    private final LinkedHashMap<Problem, Plan> plans = new LinkedHashMap<>(16, 0.75f, true);

    Matmul(CudaDevice device, CublasLt blas, boolean tf32, Kernels kernels, Movement movement, Elementwise elementwise) {
        this.device = device;
        this.blas = blas;
        this.handle = blas.create();
        this.tf32 = tf32;
        this.kernels = kernels;
        this.movement = movement;
        this.elementwise = elementwise;
    }

    /** One operand in a form that cuBLASLt can read: evenly spaced matrices with evenly spaced rows or columns. */
    private record Side(CudaHandle x, boolean transposed, long rows, long columns, long distance, long batchDistance) {
        Matrix matrix(boolean batched) {
            int alignment = (int) Math.min(MAX_ALIGNMENT, Long.lowestOneBit(x.address()));
            return new Matrix(rows, columns, distance, batched ? batchDistance : 0, alignment);
        }
    }

    CudaHandle product(CudaHandle a, CudaHandle b, boolean transposeA, boolean transposeB) {
        long m = a.shape().dim(transposeA ? -1 : -2);
        long k = a.shape().dim(transposeA ? -2 : -1);
        long n = b.shape().dim(transposeB ? -2 : -1);
        Shape shape = a.shape().with(-2, m).with(-1, n);
        CudaHandle y = device.allocate("matmul", shape, a.dtype());
        if (y.size() == 0) {
            return y;
        }
        if (k == 0) {
            elementwise.fill(y, 0);
            return y;
        }
        long batch = y.size() / (m * n);
        boolean library = a.dtype().isFloat() && batch <= Integer.MAX_VALUE && library(y, a, b, transposeA, transposeB, (int) batch);
        if (!library) {
            own(y, a, b, transposeA, transposeB, m, n, k);
        }
        return y;
    }

    private boolean library(CudaHandle y, CudaHandle a, CudaHandle b, boolean transposeA, boolean transposeB, int batch) {
        Side left = side(a, transposeA);
        Side right = side(b, transposeB);
        device.use(left.x.storage());
        device.use(right.x.storage());
        device.use(y.storage());
        long rows = y.shape().dim(-2);
        long columns = y.shape().dim(-1);
        Matrix c = new Matrix(rows, columns, columns, batch > 1 ? rows * columns : 0, MAX_ALIGNMENT);
        Plan plan = plan(new Problem(a.dtype(), tf32 && a.dtype() == DType.F32, batch, left.matrix(batch > 1), left.transposed,
                right.matrix(batch > 1), right.transposed, c));
        if (plan.found()) {
            long bytes = plan.workspace();
            CudaScratch workspace = bytes > 0 ? device.scratch("matmul", bytes) : null;
            plan.run(handle, left.x.address(), right.x.address(), y.address(), workspace == null ? 0 : workspace.address("matmul"), bytes,
                    device.stream());
            if (workspace != null) {
                workspace.close();
            }
        }
        left.x.release();
        right.x.release();
        return plan.found();
    }

    private Plan plan(Problem problem) {
        Plan plan = plans.get(problem);
        if (plan == null) {
            if (plans.size() >= MAX_PLANS) {
                plans.pollFirstEntry().getValue().close();
            }
            plan = blas.new Plan(handle, problem, WORKSPACE);
            plans.put(problem, plan);
        }
        return plan;
    }

    /** A view of an operand, or a dense copy where its strides are not even; either is a further handle, to be released. */
    private Side side(CudaHandle x, boolean transpose) {
        CudaHandle own = x.share();
        Side asIs = asIs(own, transpose);
        if (asIs != null) {
            return asIs;
        }
        own.release();
        return asIs(movement.dense("matmul", x), transpose);
    }

    private static Side asIs(CudaHandle x, boolean transpose) {
        int rank = x.shape().rank();
        long rows = x.shape().dim(-2);
        long columns = x.shape().dim(-1);
        long down = x.strides()[rank - 2];
        long along = x.strides()[rank - 1];
        Space batch = Layout.collapse(Arrays.copyOf(x.shape().toArray(), rank - 2), Arrays.copyOf(x.strides(), rank - 2));
        if (batch.rank() > 1) {
            return null;
        }
        long distance = batch.strides()[0][0];
        if ((along == 1 || columns == 1) && (down >= columns || rows == 1)) {
            return new Side(x, transpose, rows, columns, rows == 1 ? columns : down, distance);
        }
        if ((down == 1 || rows == 1) && (along >= rows || columns == 1)) {
            return new Side(x, !transpose, columns, rows, columns == 1 ? rows : along, distance);
        }
        return null;
    }

    private void own(CudaHandle y, CudaHandle a, CudaHandle b, boolean transposeA, boolean transposeB, long m, long n, long k) {
        CudaHandle left = movement.contiguous("matmul", a);
        CudaHandle right = movement.contiguous("matmul", b);
        long batch = y.size() / (m * n);
        Grid grid = Grid.of(1, 1).threads(TILE, TILE, 1).blocks(blocks(m, Integer.MAX_VALUE), blocks(n, MAX_GRID_YZ),
                (int) Math.min(batch, MAX_GRID_YZ));
        device.launch(kernels.product("product<" + Kernels.type(y.dtype()) + ">"), grid, left, right, y, batch, m, n, k, transposeA ? 1 : 0,
                transposeB ? 1 : 0);
        left.release();
        right.release();
    }

    private static int blocks(long size, long most) {
        return (int) Math.min((size + TILE - 1) / TILE, most);
    }

    /** Frees plans and handle. */
    void close() {
        plans.values().forEach(Plan::close);
        plans.clear();
        blas.destroy(handle);
    }
}
