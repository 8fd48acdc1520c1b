package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;

/** What one operation costs before it computes anything: operations on 8 by 8 elements, in chains of 32. */
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class OperationBenchmark extends DeviceBenchmark {
    /** Names of the operations. */
    public static final List<String> NAMES = List.of("add", "matmul", "rms_norm");

    private static final int SIDE = 8;
    private static final int CHAIN = 32;
    private static final double TOLERANCE = 1e-5;

    /** The operation, one of {@link #NAMES}. */
    @Param("add")
    public String operation;

    private Tensor x;
    private Tensor y;
    private Tensor weight;

    /** Instantiated by JMH. */
    public OperationBenchmark() {}

    @Override
    void check(Device reference) {
        try (Scope _ = Scope.open()) {
            prepare();
            Tensor given = chain(x);
            x = copy(x, reference);
            y = copy(y, reference);
            weight = copy(weight, reference);
            Check.close(operation, List.of(given), List.of(chain(x)), TOLERANCE);
        }
    }

    private static Tensor copy(Tensor x, Device to) {
        return Tensor.of(to, x.toDoubles(), x.shape().toArray()).cast(x.dtype());
    }

    @Override
    void prepare() {
        Rng rng = new Rng(5);
        x = rng.uniform(device(), DType.F32, -1.0, 1.0, SIDE, SIDE);
        y = rng.uniform(device(), DType.F32, -0.1, 0.1, SIDE, SIDE);
        weight = Tensor.ones(device(), DType.F32, SIDE);
    }

    private Tensor chain(Tensor start) {
        UnaryOperator<Tensor> step = switch (operation) {
            case "add" -> t -> t.add(y);
            case "matmul" -> t -> t.matmul(y);
            case "rms_norm" -> t -> Normalize.rms(t, weight, 1e-5);
            default -> throw new IllegalArgumentException("expected one of " + NAMES + ", given " + operation);
        };
        Tensor t = start;
        for (int i = 0; i < CHAIN; i++) {
            t = step.apply(t);
        }
        return t;
    }

    /** An operation. */
    @Benchmark
    @OperationsPerInvocation(CHAIN)
    public double forward() {
        return run(() -> List.of(chain(x)));
    }

    /** An operation and its derivative, through the tape. */
    @Benchmark
    @OperationsPerInvocation(CHAIN)
    public double gradient() {
        try (Scope _ = Scope.open()) {
            Variable input = Variable.of(x);
            int results = Autograd.vjp(List.of(input), () -> List.of(chain(x)), List.of(y)).gradients().get(input).shape().rank();
            device().synchronize();
            return results;
        }
    }
}
