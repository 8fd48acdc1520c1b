package dev.sequent.transformer.attention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.cuda.DeviceKernelLaw;
import dev.sequent.testkit.cuda.Nvcc;
import dev.sequent.testkit.cuda.PlantedBugs;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention in device code, run on the CPU: both forms against the decomposition, with all derivatives and masks. */
class AttentionCudaTest {
    private enum Kind { CAUSAL, FULL, WINDOW, DOCUMENTS, OFFSETS, FULL_WINDOW }

    private static AttentionMask mask(Kind kind, int batch, int queries, int keys) {
        return switch (kind) {
            case CAUSAL -> AttentionMask.CAUSAL;
            case FULL -> AttentionMask.FULL;
            case WINDOW -> AttentionMask.CAUSAL.withWindow(7);
            case FULL_WINDOW -> AttentionMask.FULL.withWindow(9);
            case DOCUMENTS -> AttentionMask.CAUSAL.withDocuments(documents(batch, queries, keys - queries), documents(batch, keys, 0));
            case OFFSETS -> {
                int[] offsets = new int[batch];
                Arrays.setAll(offsets, b -> b == 0 ? keys - queries - 2 : -3); // some queries see nothing
                yield AttentionMask.CAUSAL.withOffsets(offsets);
            }
        };
    }

    /** Documents of 13 tokens, every ninth token padding. */
    private static int[] documents(int batch, int tokens, int first) {
        int[] documents = new int[batch * tokens];
        Arrays.setAll(documents, i -> (i % tokens + first) % 9 == 5 ? -1 : (i % tokens + first) / 13);
        return documents;
    }

    /** q, k and v are slices of wider tensors, as they are after a fused projection. */
    @ParameterizedTest
    @CsvSource({"F32,CAUSAL,2,6,6,4,2,19", "F32,DOCUMENTS,2,37,41,2,1,8", "F32,WINDOW,1,70,70,1,1,5", "F32,FULL,1,3,33,2,2,64",
        "F32,OFFSETS,2,20,35,2,1,16", "F32,FULL_WINDOW,1,40,33,1,1,3",
        "F32,CAUSAL,1,1,40,2,1,17", "F32,CAUSAL,1,18,18,1,1,100", "F32,CAUSAL,1,9,10,1,1,130", "BF16,CAUSAL,1,70,70,2,1,16",
            "BF16,DOCUMENTS,2,37,41,2,1,32",
        "BF16,WINDOW,1,130,130,1,1,16", "BF16,FULL,1,3,100,2,2,64", "BF16,OFFSETS,2,20,35,2,1,16", "BF16,CAUSAL,1,40,40,1,1,128"})
    void kernelsEqualDecomposition(DType dtype, Kind kind, int batch, int queries, int keys, int heads, int groups, int width) {
        AttentionMask mask = mask(kind, batch, queries, keys);
        new DeviceKernelLaw(AttentionKernel.class, dtype, dtype == DType.F32 ? 1e-5 : 2e-2).check(
            "attention " + kind + " " + List.of(batch, queries, keys, heads, groups, width),
            device -> List.of(DeviceKernelLaw.uniform(device, dtype, 1, batch, queries, heads + 1, width),
                DeviceKernelLaw.uniform(device, dtype, 2, batch, keys, 2L * groups, width)),
            in -> List.of(Attention.apply(in.get(0).slice(2, 1, heads + 1), in.get(1).slice(2, 0, groups), in.get(1)
                .slice(2, groups, 2L * groups), mask, 0.4)));
    }

    @Test
    void paddingIsNotRead() {
        for (DType dtype : List.of(DType.F32, DType.BF16)) {
            DeviceKernelLaw.onDevice(AttentionKernel.class, device -> {
                int tokens = 40;
                int[] documents = documents(1, tokens, 0);
                AttentionMask mask = AttentionMask.CAUSAL.withDocuments(documents, documents);
                Tensor x = DeviceKernelLaw.uniform(device, dtype, 1, 1, tokens, 2, 16);
                float[] holes = new float[tokens];
                for (int t = 0; t < tokens; t++) {
                    holes[t] = documents[t] < 0 ? Float.NaN : 0;
                }
                Tensor holed = x.add(Tensor.of(device, holes, 1, tokens, 1, 1).cast(dtype));
                assertThat(Attention.apply(holed, holed, holed, mask, 0.3).toFloats())
                    .isEqualTo(Attention.apply(x, x, x, mask, 0.3).toFloats());
            });
        }
    }

    @Test
    void widthsThatTheMatrixUnitsDoNotTakeAreComputedInSinglePrecision() {
        DeviceKernelLaw.onDevice(AttentionKernel.class, device -> {
            Tensor x = DeviceKernelLaw.uniform(device, DType.BF16, 1, 1, 9, 2, 5);
            Tensor wide = x.cast(DType.F32);
            Tensor y = Attention.apply(x, x, x, AttentionMask.CAUSAL, 0.3);
            assertThat(y.dtype()).isEqualTo(DType.BF16);
            assertThat(y.toFloats()).isEqualTo(Attention.apply(wide, wide, wide, AttentionMask.CAUSAL, 0.3).cast(DType.BF16).toFloats());
        });
    }

    @ParameterizedTest
    @CsvSource({"F32,attention", "BF16,attention_mma"})
    void everyMissingBarrierIsNoticed(DType dtype, String source) {
        PlantedBugs.check(source, device -> DeviceKernelLaw.results(List.of(DeviceKernelLaw.uniform(device, dtype, 1, 1, 130, 3, 16)),
            in -> {
                Tensor[] parts = in.getFirst().split(2, 1, 1, 1);
                return List.of(Attention.apply(parts[0], parts[1], parts[2], AttentionMask.FULL, 0.3));
            }, dtype));
    }

    @Test
    void compilesForRealArchitectures() {
        assertThat(Nvcc.compileFused(device -> {
            for (int width : new int[] {17, 128}) {
                Tensor x = DeviceKernelLaw.uniform(device, DType.F32, 1, 1, 1, 1, width);
                Attention.apply(x, x, x, AttentionMask.CAUSAL, 1);
            }
            for (int width : new int[] {64, 128}) {
                Tensor x = DeviceKernelLaw.uniform(device, DType.BF16, 1, 1, 1, 1, width);
                Attention.apply(x, x, x, AttentionMask.CAUSAL, 1);
            }
        })).containsExactly("attention", "attention_mma");
    }
}
