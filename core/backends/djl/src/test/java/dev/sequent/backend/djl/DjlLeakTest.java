package dev.sequent.backend.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.BatchSource;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Two hundred training steps of a hybrid leave nothing behind: no array attached to DJL's manager, and no native memory. */
class DjlLeakTest {
    private static final int VOCABULARY = 31;
    private static final int WARMUP = 60;
    private static final int STEPS = 200;
    /**
     * How much the process may grow from step 60 to step 200: room for the compiler's and the garbage collector's own memory. A step makes
     * thousands of arrays of 32 KiB and more; one that no manager knows of, left behind by an operation that runs ten times a step, would
     * be 44 MiB. Arrays that a manager knows of are counted one by one.
     */
    private static final long TOLERANCE = 32L << 20;

    @Test
    void trainingLeavesNothingBehind() throws IOException {
        Map<Character, LayerSpec> letters = Map.of('M', LayerSpec.of(MambaConfig.defaults().withStates(4)),
                'A', new LayerSpec(AttentionConfig.of(4), MlpConfig.gated(48)));
        LanguageModelConfig config = LanguageModelConfig.of(VOCABULARY, 32, LayerPattern.parse("MA", letters)).withDropout(0.1);
        int[] ids = new int[2000];
        Arrays.setAll(ids, i -> (i * i + i / 7) % VOCABULARY);
        BatchSource batches = new RandomWindows(TokenDataset.of(ids, VOCABULARY), 32, 8, 3);
        try (Device device = Device.open("djl", Map.of("threads", "1"))) {
            DjlBackend backend = (DjlBackend) device.backend();
            try (LanguageModel model = new LanguageModel(config, new Init(device, 1));
                    AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
                Trainer trainer = new Trainer(model, optimizer, LrSchedule.constant(1e-3), batches, Trainer.Settings.of(STEPS, 1));
                trainer.runUntil(WARMUP);
                int arrays = backend.attachedArrays(0);
                long handles = device.memory().liveHandles();
                long resident = resident();
                trainer.run();
                assertThat(device.memory().liveHandles()).isEqualTo(handles).isEqualTo(3L * model.namedParameters().size());
                assertThat(backend.attachedArrays(0)).as("arrays attached to DJL's manager").isEqualTo(arrays);
                assertThat(resident() - resident).as("growth of the process in bytes").isLessThan(TOLERANCE);
            }
            assertThat(device.memory().liveHandles()).isZero();
            assertThat(device.memory().liveBytes()).isZero();
            assertThat(backend.attachedArrays(0)).isZero();
        }
    }

    @Test
    void operationsThatFailLeaveNothingBehind() {
        try (Device device = Device.open("djl", Map.of("threads", "1")); Scope _ = Scope.open()) {
            DjlBackend backend = (DjlBackend) device.backend();
            Tensor x = Tensor.zeros(device, DType.F32, 3, 2);
            Tensor index = Tensor.of(device, new int[] {0, 7});
            Tensor source = Tensor.ones(device, DType.F32, 2, 2);
            int arrays = backend.attachedArrays(0);
            assertThatThrownBy(() -> x.indexAdd(0, index, source)).isInstanceOf(ShapeException.class);
            assertThat(backend.attachedArrays(0)).as("arrays attached to DJL's manager").isEqualTo(arrays);
            assertThat(x.indexAdd(0, Tensor.of(device, new int[] {0, 2}), source).toFloats()).containsExactly(1, 1, 0, 0, 1, 1);
        }
    }

    /** Bytes of the process in memory, after a collection and without the Java heap. */
    private static long resident() throws IOException {
        System.gc();
        long pages = Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]);
        return pages * 4096 - Runtime.getRuntime().totalMemory();
    }
}
