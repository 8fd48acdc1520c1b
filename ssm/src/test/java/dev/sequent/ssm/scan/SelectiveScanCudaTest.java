package dev.sequent.ssm.scan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Tensor;
import dev.sequent.testkit.cuda.DeviceKernelLaw;
import dev.sequent.testkit.cuda.Nvcc;
import dev.sequent.testkit.cuda.PlantedBugs;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The scan in device code, run on the CPU: against the decomposition, with states, flags and all derivatives. */
class SelectiveScanCudaTest {
    /** What can be left out of a scan. */
    private enum Form { PLAIN, GATED, ALL }

    private static byte[] flags(int tokens, boolean flagged) {
        if (!flagged) {
            return null;
        }
        byte[] flags = new byte[tokens];
        for (int i = 0; i < tokens; i++) {
            flags[i] = (byte) (i % 11 == 4 ? ScanInputs.RESET : i % 7 == 3 ? ScanInputs.SKIP : i % 53 == 9 ? 3 : 0);
        }
        return flags;
    }

    /** u and z, b and c lie in wider tensors, as they do in a layer. */
    private static List<Tensor> inputs(Device device, DType dtype, Form form, int batch, int time, int channels, int states) {
        List<Tensor> in = new ArrayList<>(List.of(DeviceKernelLaw.uniform(device, dtype, 1, batch, time, 2L * channels),
                DeviceKernelLaw.uniform(device, dtype, 2, batch, time, 1 + 2L * states),
                    DeviceKernelLaw.uniform(device, dtype, 3, batch, time, channels),
                DeviceKernelLaw.uniform(device, dtype, 4, channels, states)));
        if (form == Form.ALL) {
            in.addAll(List.of(DeviceKernelLaw.uniform(device, dtype, 5, channels), DeviceKernelLaw.uniform(device, dtype, 6, channels),
                    DeviceKernelLaw.uniform(device, dtype, 7, batch, channels, states)));
        }
        return in;
    }

    private static List<Tensor> scan(List<Tensor> in, Form form, byte[] flags) {
        Tensor wide = in.get(0);
        Tensor narrow = in.get(1);
        long channels = in.get(2).dim(2);
        long states = in.get(3).dim(1);
        boolean all = form == Form.ALL;
        SelectiveScan.Result r = SelectiveScan.apply(new SelectiveScan.Operands(wide.slice(2, 0, channels), in.get(2), in.get(3).square()
            .neg(),
                narrow.slice(2, 1, 1 + states), narrow.slice(2, 1 + states, 1 + 2 * states), all ? in.get(4) : null, all ? in.get(5) : null,
                    form != Form.PLAIN,
                form == Form.PLAIN ? null : wide.slice(2, channels, 2 * channels), all ? in.get(6) : null), flags);
        return List.of(r.y(), r.finalState());
    }

    @ParameterizedTest
    @CsvSource({"F32,ALL,2,7,3,2,true", "F32,ALL,1,100,33,16,true", "F32,ALL,1,130,17,16,false", "F32,GATED,2,33,100,5,false",
        "F32,PLAIN,1,3,63,1,false", "F32,ALL,3,1,17,19,false",
        "F32,ALL,1,70,3,100,true", "BF16,ALL,1,70,33,16,true"})
    void kernelsEqualDecomposition(DType dtype, Form form, int batch, int time, int channels, int states, boolean flagged) {
        byte[] flags = flags(batch * time, flagged);
        new DeviceKernelLaw(SelectiveScanKernel.class, dtype, dtype == DType.F32 ? 1e-5 : 3e-2).check(
                "scan " + form + " " + List.of(batch, time, channels, states), device ->
                    inputs(device, dtype, form, batch, time, channels, states),
                in -> scan(in, form, flags));
    }

    @Test
    void everyMissingBarrierIsNoticed() {
        PlantedBugs.check("selective_scan",
            device -> DeviceKernelLaw.results(inputs(device, DType.F32, Form.ALL, 1, 100, 33, 16), in -> scan(in, Form.ALL, null),
                DType.F32));
    }

    @Test
    void compilesForRealArchitectures() {
        assertThat(Nvcc.compileFused(device -> {
            for (int states : new int[] {16, 100}) {
                for (DType dtype : List.of(DType.F32, DType.BF16)) {
                    scan(inputs(device, dtype, Form.PLAIN, 1, 1, 1, states), Form.PLAIN, null);
                }
            }
        })).containsExactly("selective_scan");
    }
}
