package dev.sequent.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.spi.GraphCapture;
import dev.sequent.spi.GraphCapture.Graph;
import dev.sequent.spi.TensorHandle;
import dev.sequent.testkit.HostTensor;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.BackendException;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Recorded work repeats what was recorded on new inputs, owns its memory, and refuses what cannot be recorded. */
class CudaGraphTest {
    private CudaBackend backend;

    @BeforeEach
    void open() {
        EmulatedCuda.require().reset();
        backend = EmulatedDevice.backend();
    }

    @AfterEach
    void close() {
        backend.close();
        EmulatedCuda.require().reset();
    }

    private TensorHandle upload(HostTensor x) {
        return backend.upload(x.bytes(), x.shape(), x.dtype(), 0);
    }

    /** A bit of everything: products, reductions, copies, constants, intermediate tensors that come and go. */
    private TensorHandle step(TensorHandle x) {
        TensorHandle product = backend.matmul(x, x, false, true);
        TensorHandle sums = backend.reduce(ReduceOp.SUM, product, new int[] {1});
        TensorHandle turned = backend.permute(product, new int[] {1, 0});
        TensorHandle wide = backend.broadcastTo(sums, product.shape());
        TensorHandle mixed = backend.binary(BinaryOp.ADD, turned, wide);
        TensorHandle constant = upload(HostTensor.floats(product.shape(), DType.F32, i -> i % 7));
        TensorHandle shifted = backend.binary(BinaryOp.MUL, mixed, constant);
        TensorHandle y = backend.unary(UnaryOp.TANH, shifted);
        for (TensorHandle t : new TensorHandle[] {product, sums, turned, wide, mixed, constant, shifted}) {
            backend.release(t);
        }
        return y;
    }

    private HostTensor input(int seed) {
        return HostTensor.random(Shape.of(17, 33), DType.F32, seed);
    }

    @Test
    void replayEqualsEagerOnNewInputs() {
        TensorHandle x = upload(input(1));
        backend.release(step(x));
        TensorHandle[] y = new TensorHandle[1];
        try (Graph graph = backend.facility(GraphCapture.class).orElseThrow().capture(0, () -> y[0] = step(x))) {
            assertThat(graph.size()).isGreaterThan(5);
            for (int seed = 2; seed < 5; seed++) {
                TensorHandle next = upload(input(seed));
                TensorHandle expected = step(next);
                backend.write(x, new long[2], next);
                graph.replay();
                HostTensor.download(backend, expected).requireEqual(HostTensor.download(backend, y[0]));
                backend.release(next);
                backend.release(expected);
            }
            // what others do meanwhile does not touch the graph's memory, nor the graph theirs
            TensorHandle other = backend.full(Shape.of(17, 17), DType.F32, 3, 0);
            HostTensor before = HostTensor.download(backend, y[0]);
            graph.replay();
            before.requireEqual(HostTensor.download(backend, y[0]));
            HostTensor.floats(Shape.of(17, 17), DType.F32, i -> 3).requireEqual(HostTensor.download(backend, other));
            backend.release(other);
        }
        backend.release(x);
        backend.release(y[0]);
        assertThat(backend.memory(0).liveHandles()).isZero();
        assertThat(backend.memory(0).liveBytes()).isZero();
    }

    /** What recorded work reads stays until the graph is closed, even if its handle is released. */
    @Test
    void operandsLiveAsLongAsTheGraph() {
        TensorHandle x = upload(input(1));
        TensorHandle warm = step(x);
        HostTensor expected = HostTensor.download(backend, warm);
        backend.release(warm);
        TensorHandle[] y = new TensorHandle[1];
        Graph graph = backend.capture(0, () -> y[0] = step(x));
        backend.release(x);
        for (int i = 0; i < 20; i++) {
            backend.release(backend.full(Shape.of(17, 33), DType.F32, Double.NaN, 0));
        }
        graph.replay();
        expected.requireEqual(HostTensor.download(backend, y[0]));
        graph.close();
        graph.close();
        expected.requireEqual(HostTensor.download(backend, y[0]));
        assertThatThrownBy(graph::replay).isInstanceOf(BackendException.class).hasMessageContaining("closed");
        backend.release(y[0]);
        assertThat(backend.memory(0).liveBytes()).isZero();
    }

    @Test
    void whatCannotBeRecordedIsRefusedAndTheDeviceGoesOn() {
        TensorHandle x = upload(input(1));
        assertThatThrownBy(() -> backend.capture(0, () -> HostTensor.download(backend, x))).isInstanceOf(BackendException.class)
                .hasMessageContaining("[download]");
        assertThatThrownBy(() -> backend.capture(0, () -> backend.synchronize(0))).hasMessageContaining("[synchronize]");
        assertThatThrownBy(() -> backend.capture(0, () -> backend.capture(0, () -> {}))).hasMessageContaining("[capture]");
        assertThatThrownBy(() -> backend.capture(0, () -> {
            throw new IllegalStateException("mine");
        })).isInstanceOf(IllegalStateException.class).hasMessage("mine");
        input(1).requireEqual(HostTensor.download(backend, x));
        backend.release(x);
        assertThat(backend.memory(0).liveBytes()).isZero();
    }

    @Test
    void otherThreadsWaitForTheCapture() throws InterruptedException, ExecutionException {
        TensorHandle x = upload(input(1));
        TensorHandle[] y = new TensorHandle[1];
        try (var thread = Executors.newSingleThreadExecutor()) {
            var others = new Future<?>[1];
            try (Graph graph = backend.capture(0, () -> {
                others[0] = thread.submit(() -> HostTensor.download(backend, x));
                y[0] = step(x);
            })) {
                input(1).requireEqual((HostTensor) others[0].get());
                assertThat(graph.size()).isPositive();
            }
        }
        backend.release(x);
        backend.release(y[0]);
    }
}
