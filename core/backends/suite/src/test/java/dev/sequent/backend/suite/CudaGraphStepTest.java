package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.model.LanguageModel;
import dev.sequent.nn.Init;
import dev.sequent.spi.GraphCapture;
import dev.sequent.spi.GraphCapture.Graph;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.cuda.EmulatedCuda;
import dev.sequent.type.DType;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * A model's forward and backward pass of fixed shape, recorded once as a CUDA graph, give on new tokens the loss and gradient that they give when run.
 * On decompositions, and with a loss without targets: the kernels of embedding and cross-entropy look at ids on the host, which cannot be recorded.
 */
class CudaGraphStepTest {
    private static final int BATCH = 2;
    private static final int TIME = 9;

    private static int[] tokens(int seed) {
        int[] ids = new int[BATCH * TIME];
        Arrays.setAll(ids, i -> (i * i + seed * (i + 3)) % 17);
        return ids;
    }

    private record Result(Tensor loss, Tensor gradient) {
        float[] numbers() {
            float[] all = Arrays.copyOf(gradient.toFloats(), (int) gradient.size() + 1);
            all[all.length - 1] = loss.toFloats()[0];
            return all;
        }
    }

    private static Result step(LanguageModel model, Tensor ids) {
        Gradients g = Autograd.valueAndGrad(model.parameters(), () -> model.forward(ids, SequenceInfo.of(ids)).square().mean());
        return new Result(g.loss(), g.of(model.parameters().iterator().next()));
    }

    private String policy;

    @BeforeEach
    void withoutKernels() {
        policy = System.setProperty("sequent.fused", "off");
    }

    @AfterEach
    void asBefore() {
        if (policy == null) {
            System.clearProperty("sequent.fused");
        } else {
            System.setProperty("sequent.fused", policy);
        }
    }

    @Test
    void aReplayedTrainingStepEqualsTheStepItself() {
        try (Device device = Device.open("cuda", EmulatedCuda.require().options());
                LanguageModel model = new LanguageModel(LossesAcrossBackendsTest.config("MA").withDropout(0), new Init(device, DType.F32, new Rng(1)));
                Scope _ = Scope.open()) {
            Tensor ids = model.ids(tokens(1), BATCH, TIME);
            step(model, ids);
            Result[] recorded = new Result[1];
            try (Graph graph = device.facility(GraphCapture.class).orElseThrow().capture(0, () -> recorded[0] = step(model, ids))) {
                for (int seed = 3; seed < 6; seed++) {
                    ids.write(model.ids(tokens(seed), BATCH, TIME), 0, 0);
                    graph.replay();
                    assertThat(recorded[0].numbers()).isEqualTo(step(model, ids).numbers());
                }
            }
        }
    }
}
