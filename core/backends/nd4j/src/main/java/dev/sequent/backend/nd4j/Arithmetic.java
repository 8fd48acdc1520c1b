package dev.sequent.backend.nd4j;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Elementwise arithmetic: by {@link Engine} where it can, else by {@link HostElementwise}. 16-bit floats are widened to F32 and rounded
 * once at the end. Thread-safe.
 */
final class Arithmetic {
    private final Workbench bench;
    private final Casts casts;
    private final Engine engine;

    Arithmetic(Workbench bench, Casts casts, Engine engine) {
        this.bench = bench;
        this.casts = casts;
        this.engine = engine;
    }

    /** An operation of ND4J's; false when there is none. */
    private interface Native {
        boolean run(INDArray[] x, INDArray y);
    }

    /** The same as a loop of ours. */
    private interface Loop {
        void run(Dense[] x, Dense y);
    }

    Nd4jHandle unary(UnaryOp op, Nd4jHandle a) {
        return apply(op.name(), (x, y) -> engine.unary(op, x[0], y), (x, y) -> HostElementwise.unary(op, x[0], y), a);
    }

    Nd4jHandle binary(BinaryOp op, Nd4jHandle a, Nd4jHandle b) {
        return apply(op.name(), (x, y) -> engine.binary(op, x[0], x[1], y), (x, y) -> HostElementwise.binary(op, x[0], x[1], y), a, b);
    }

    Nd4jHandle binaryScalar(BinaryOp op, Nd4jHandle a, double s, boolean reversed) {
        return apply(op.name(), (x, y) -> engine.binaryScalar(op, x[0], s, reversed, y),
                (x, y) -> HostElementwise.binaryScalar(op, x[0], s, reversed, y), a);
    }

    private Nd4jHandle apply(String op, Native engine, Loop loop, Nd4jHandle... operands) {
        DType dtype = operands[0].dtype();
        return dtype.isFloat() && !Engine.computes(dtype) ? narrow(op, engine, loop, operands) : compute(op, engine, loop, operands);
    }

    private Nd4jHandle compute(String op, Native engine, Loop loop, Nd4jHandle[] operands) {
        DType dtype = operands[0].dtype();
        Nd4jHandle y = bench.allocate(op, operands[0].shape(), dtype);
        return bench.produce(y, () -> {
            if (y.shape().size() == 0) {
                return;
            }
            Dense[] x = new Dense[operands.length];
            try (Dense out = bench.whole(op, y)) {
                for (int i = 0; i < x.length; i++) {
                    x[i] = bench.whole(op, operands[i]);
                }
                boolean isDone = Engine.computes(dtype)
                        && engine.run(Arrays.stream(x).map(Dense::vector).toArray(INDArray[]::new), out.vector());
                if (!isDone) {
                    loop.run(x, out);
                }
            } finally {
                for (Dense operand : x) {
                    if (operand != null) {
                        operand.close();
                    }
                }
            }
        });
    }

    private Nd4jHandle narrow(String op, Native engine, Loop loop, Nd4jHandle[] operands) {
        Nd4jHandle[] wide = new Nd4jHandle[operands.length];
        try {
            for (int i = 0; i < operands.length; i++) {
                wide[i] = casts.cast(op, operands[i], DType.F32);
            }
            Nd4jHandle result = compute(op, engine, loop, wide);
            try {
                return casts.cast(op, result, operands[0].dtype());
            } finally {
                result.release();
            }
        } finally {
            for (Nd4jHandle x : wide) {
                if (x != null) {
                    x.release();
                }
            }
        }
    }
}
