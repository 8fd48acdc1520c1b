package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.fused.embedding.Lookup;
import dev.sequent.fused.glu.Swiglu;
import dev.sequent.fused.loss.CrossEntropy;
import dev.sequent.fused.norm.Normalize;
import dev.sequent.fused.softmax.Softmax;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.DTypeException;
import dev.sequent.type.ShapeException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The decompositions of the fused operations: derivatives against central differences in F64, values against formulas, errors. */
class FusedOperationsTest {
    private static final double TOLERANCE = 1e-7;
    private Device device;
    private Scope scope;

    @BeforeEach
    void open() {
        device = Device.open("reference");
        scope = Scope.open();
    }

    @AfterEach
    void close() {
        scope.close();
        assertThat(device.memory().liveHandles()).as("live tensors after the test").isZero();
        device.close();
    }

    private Tensor x(long seed, long... shape) {
        return new Rng(seed).uniform(device, DType.F64, -1.7, 1.9, shape);
    }

    @Test
    void normalisationDerivativesEqualDifferences() {
        GradientCheck.check("rms", in -> Normalize.rms(in.get(0), in.get(1), 1e-5), TOLERANCE, x(1, 2, 3, 5), x(2, 5));
        GradientCheck.check("layer", in -> Normalize.layer(in.get(0), in.get(1), in.get(2), 1e-5), TOLERANCE, x(1, 3, 5), x(2, 5), x(3, 5));
        GradientCheck.check("layer without bias", in -> Normalize.layer(in.get(0), in.get(1), null, 1e-5), TOLERANCE, x(1, 3, 5), x(2, 5));
        GradientCheck.check("add and rms", in -> {
            Normalize.Added a = Normalize.addRms(in.get(0), in.get(1), in.get(2), 1e-5);
            return a.sum().mul(0.3).add(a.normalised());
        }, TOLERANCE, x(1, 3, 5), x(2, 3, 5), x(3, 5));
    }

    @Test
    void gatedUnitDerivativesEqualDifferences() {
        GradientCheck.check("swiglu", in -> Swiglu.apply(in.get(0), in.get(1)), TOLERANCE, x(1, 3, 5), x(2, 3, 5));
        GradientCheck.check("swiglu halves", in -> Swiglu.gateFirst(in.get(0)), TOLERANCE, x(1, 3, 6));
        GradientCheck.check("swiglu halves", in -> Swiglu.gateLast(in.get(0)), TOLERANCE, x(1, 3, 6));
    }

    @Test
    void gateLastIsGateFirstOfSwappedHalves() {
        Tensor x = x(1, 3, 6);
        Tensor[] half = x.split(-1, 3, 3);
        assertThat(Swiglu.gateLast(x).toDoubles()).isEqualTo(Swiglu.gateFirst(Tensor.concat(-1, half[1], half[0])).toDoubles());
        assertThat(Swiglu.gateFirst(x).toDoubles()).isEqualTo(Swiglu.apply(half[0], half[1]).toDoubles());
    }

    @Test
    void lossDerivativesEqualDifferences() {
        Tensor targets = Tensor.of(device, new int[] {4, -1, 0, 2}, 2, 2);
        GradientCheck.check("loss", in -> CrossEntropy.loss(in.get(0), targets), TOLERANCE, x(1, 2, 2, 5));
        GradientCheck.check("losses", in -> CrossEntropy.perPosition(in.get(0), targets), TOLERANCE, x(1, 2, 2, 5));
        GradientCheck.check("softmax", in -> Softmax.apply(in.get(0)), TOLERANCE, x(1, 3, 5));
    }

    @Test
    void uniformLogitsCostTheLogarithmOfTheVocabulary() {
        Tensor logits = Tensor.full(device, DType.F64, 3, 4, 10);
        Tensor targets = Tensor.of(device, new long[] {1, 9, -7, 0});
        assertThat(CrossEntropy.loss(logits, targets).item()).isEqualTo(Math.log(10), within(1e-12));
        assertThat(CrossEntropy.perPosition(logits, targets).toDoubles()[2]).isZero();
    }

    @Test
    void lossWithoutTargetsIsZero() {
        Tensor targets = Tensor.of(device, new int[] {-1, -1});
        assertThat(CrossEntropy.loss(x(1, 2, 5), targets).item()).isZero();
    }

    @Test
    void lookUpDerivativeAddsRepeatedIds() {
        Tensor ids = Tensor.of(device, new int[] {2, 0, 2, 2}, 2, 2);
        GradientCheck.check("embedding", in -> Lookup.apply(in.get(0), ids), TOLERANCE, x(1, 4, 3));
    }

    @Test
    void unsuitableOperandsAreRefused() {
        Tensor x = x(1, 3, 5);
        assertThatThrownBy(() -> Normalize.rms(x, x(2, 4), 1e-5)).isInstanceOf(ShapeException.class);
        assertThatThrownBy(() -> Normalize.addRms(x, x(2, 3, 4), x(2, 5), 1e-5)).isInstanceOf(ShapeException.class);
        assertThatThrownBy(() -> Normalize.rms(x, x(2, 5).cast(DType.F32), 1e-5)).isInstanceOf(DTypeException.class);
        assertThatThrownBy(() -> Swiglu.gateFirst(x)).isInstanceOf(ShapeException.class).hasMessageContaining("even size");
        assertThatThrownBy(() -> Swiglu.apply(x, x(1, 3, 4))).isInstanceOf(ShapeException.class);
        assertThatThrownBy(() -> CrossEntropy.loss(x, Tensor.of(device, new int[] {0, 1}))).isInstanceOf(ShapeException.class);
        assertThatThrownBy(() -> CrossEntropy.loss(x, Tensor.of(device, new int[] {0, 1, 5}))).isInstanceOf(ShapeException.class)
            .hasMessageContaining("below 5");
        assertThatThrownBy(() -> CrossEntropy.loss(x, Tensor.of(device, new float[] {0, 1, 2}))).isInstanceOf(DTypeException.class);
        assertThatThrownBy(() -> Lookup.apply(x, Tensor.of(device, new float[] {0}))).isInstanceOf(DTypeException.class);
    }
}
