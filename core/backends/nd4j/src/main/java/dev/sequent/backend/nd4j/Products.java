package dev.sequent.backend.nd4j;

import static org.bytedeco.openblas.global.openblas_nolapack.CblasNoTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasRowMajor;
import static org.bytedeco.openblas.global.openblas_nolapack.CblasTrans;
import static org.bytedeco.openblas.global.openblas_nolapack.cblas_dgemm;
import static org.bytedeco.openblas.global.openblas_nolapack.cblas_sgemm;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import org.bytedeco.javacpp.DoublePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Matrix products by the BLAS that ND4J's own products call. Transposed and sliced matrices are passed as they lie; 16-bit floats are
 * computed in F32; integers, which BLAS lacks, in loops of ours. Thread-safe.
 */
final class Products {
    private final Workbench bench;
    private final Casts casts;

    Products(Workbench bench, Casts casts) {
        this.bench = bench;
        this.casts = casts;
    }

    /** A stored matrix as BLAS wants it: whether it is transposed, and the distance of its stored rows. */
    private record Form(boolean transposed, int leading) {
        /** The form of the two innermost axes of a tensor, or null when neither of them is dense. */
        static Form of(Nd4jHandle x, boolean transposed) {
            int rank = x.shape().rank();
            long rows = x.shape().dim(rank - 2);
            long columns = x.shape().dim(rank - 1);
            long down = x.strides()[rank - 2];
            long right = x.strides()[rank - 1];
            if ((right == 1 || columns == 1) && (down >= columns || rows == 1) && down <= Integer.MAX_VALUE) {
                return new Form(transposed, (int) Math.max(rows == 1 ? columns : down, 1));
            }
            if ((down == 1 || rows == 1) && (right >= rows || columns == 1) && right <= Integer.MAX_VALUE) {
                return new Form(!transposed, (int) Math.max(columns == 1 ? rows : right, 1));
            }
            return null;
        }
    }

    Nd4jHandle matmul(Nd4jHandle a, Nd4jHandle b, boolean transposeA, boolean transposeB) {
        if (!Engine.computes(a.dtype()) && a.dtype().isFloat()) {
            return narrow(a, b, transposeA, transposeB);
        }
        int m = Math.toIntExact(a.shape().dim(transposeA ? -1 : -2));
        int k = Math.toIntExact(a.shape().dim(transposeA ? -2 : -1));
        int n = Math.toIntExact(b.shape().dim(transposeB ? -2 : -1));
        Nd4jHandle y = bench.allocate("matmul", a.shape().with(-2, m).with(-1, n), a.dtype());
        return bench.produce(y, () -> {
            if (y.shape().size() == 0) {
                return;
            }
            if (k == 0) {
                Elements.fill(y.dtype(), y.storage().segment(), 0);
            } else if (a.dtype().isFloat()) {
                blas(a, b, transposeA, transposeB, m, n, k, y);
            } else {
                integers(a, b, transposeA, transposeB, m, n, k, y);
            }
        });
    }

    private Nd4jHandle narrow(Nd4jHandle a, Nd4jHandle b, boolean transposeA, boolean transposeB) {
        Nd4jHandle x = casts.cast("matmul", a, DType.F32);
        try {
            Nd4jHandle z = casts.cast("matmul", b, DType.F32);
            try {
                Nd4jHandle product = matmul(x, z, transposeA, transposeB);
                try {
                    return casts.cast("matmul", product, a.dtype());
                } finally {
                    product.release();
                }
            } finally {
                z.release();
            }
        } finally {
            x.release();
        }
    }

    private void blas(Nd4jHandle a, Nd4jHandle b, boolean transposeA, boolean transposeB, int m, int n, int k, Nd4jHandle y) {
        Form formA = Form.of(a, transposeA);
        Form formB = Form.of(b, transposeB);
        Nd4jHandle x = formA == null ? bench.contiguous("matmul", a) : a;
        try {
            Nd4jHandle z = formB == null ? bench.contiguous("matmul", b) : b;
            try {
                gemm(x, Form.of(x, transposeA), z, Form.of(z, transposeB), m, n, k, y);
            } finally {
                if (z != b) {
                    z.release();
                }
            }
        } finally {
            if (x != a) {
                x.release();
            }
        }
    }

    /** One product per batch; batches of an operand may lie anywhere, and be the same one. */
    private static void gemm(Nd4jHandle a, Form formA, Nd4jHandle b, Form formB, int m, int n, int k, Nd4jHandle y) {
        Pointer x = a.storage().vector().data().pointer();
        Pointer z = b.storage().vector().data().pointer();
        Pointer out = y.storage().vector().data().pointer();
        int ta = formA.transposed ? CblasTrans : CblasNoTrans;
        int tb = formB.transposed ? CblasTrans : CblasNoTrans;
        int batchAxes = a.shape().rank() - 2;
        Shape shape = a.shape();
        long batches = Strides.product(shape, 0, batchAxes);
        long[] index = new long[batchAxes];
        for (long batch = 0; batch < batches; batch++) {
            long atA = a.offset() + Strides.position(index, a.strides());
            long atB = b.offset() + Strides.position(index, b.strides());
            long atY = batch * m * n;
            if (a.dtype() == DType.F32) {
                cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, 1, new FloatPointer(x).position(atA), formA.leading,
                        new FloatPointer(z).position(atB), formB.leading, 0, new FloatPointer(out).position(atY), n);
            } else {
                cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, 1, new DoublePointer(x).position(atA), formA.leading,
                        new DoublePointer(z).position(atB), formB.leading, 0, new DoublePointer(out).position(atY), n);
            }
            for (int axis = batchAxes - 1; axis >= 0 && ++index[axis] == shape.dim(axis); axis--) {
                index[axis] = 0;
            }
        }
    }

    private void integers(Nd4jHandle a, Nd4jHandle b, boolean transposeA, boolean transposeB, int m, int n, int k, Nd4jHandle y) {
        Nd4jHandle rows = transposeA ? turned(a) : a.view(a.offset(), a.shape(), a.strides());
        try {
            Nd4jHandle columns = transposeB ? b.view(b.offset(), b.shape(), b.strides()) : turned(b);
            try (Dense left = bench.dense("matmul", rows); Dense right = bench.dense("matmul", columns);
                    Dense out = bench.dense("matmul", y)) {
                HostReductions.matmul(y.shape().size() / m / n, m, n, k, left, right, out);
            } finally {
                columns.release();
            }
        } finally {
            rows.release();
        }
    }

    /** A view with the two innermost axes swapped. */
    private static Nd4jHandle turned(Nd4jHandle x) {
        int last = x.shape().rank() - 1;
        long[] strides = x.strides().clone();
        strides[last] = x.strides()[last - 1];
        strides[last - 1] = x.strides()[last];
        return x.view(x.offset(), x.shape().with(last, x.shape().dim(last - 1)).with(last - 1, x.shape().dim(last)), strides);
    }
}
