package dev.sequent.ssm.scan;

import dev.sequent.fused.HostTensors;
import dev.sequent.spi.HostMemory;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link SelectiveScanKernel} on tensors in host memory, by {@link SelectiveScanCpu}. */
final class SelectiveScanHost implements SelectiveScanKernel {
    /** Tiles of 32 rows are indexed by int. */
    private static final long LARGEST_STRIDE = 1 << 24;

    private final HostTensors host;
    private final SelectiveScanCpu kernel;

    SelectiveScanHost(HostTensors host) {
        this.host = host;
        this.kernel = SelectiveScanCpu.on(host.parallel(), host.vectorised());
    }

    @Override
    public String name() {
        return "selective-scan/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(SelectiveScan.Operands x) {
        if (x.u().size() == 0 || x.a().size() == 0) {
            return Optional.of("takes at least one element, given " + x.u().shape() + " and " + x.a().shape());
        }
        if (x.u().dim(2) > LARGEST_STRIDE) {
            return Optional.of("takes at most " + LARGEST_STRIDE + " channels, given " + x.u().dim(2));
        }
        return HostTensors.refusal(x.u());
    }

    /**
     * Rows of a tensor where they lie; of a dense copy if their elements are not neighbours or their distance is beyond the kernel's
     * arithmetic.
     */
    private ScanRows rows(Tensor x) {
        if (x == null) {
            return null;
        }
        HostMemory.View view = host.view(x);
        if (view.strides()[2] != 1 || view.strides()[1] > LARGEST_STRIDE) {
            return ScanRows.contiguous(host.read(x.contiguous()), (int) x.dim(1), (int) x.dim(2));
        }
        return new ScanRows(view.segment(), view.strides()[0], view.strides()[1]);
    }

    private ScanInputs inputs(SelectiveScan.Operands x, byte[] flags) {
        return new ScanInputs(x.shape(), rows(x.u()), rows(x.delta()), host.read(x.a()), rows(x.b()), rows(x.c()),
                host.readOrNull(x.skip()), host.readOrNull(x.deltaBias()), x.softplus(), rows(x.z()), host.readOrNull(x.initialState()),
                flags);
    }

    @Override
    public Tensor[] forward(SelectiveScan.Operands x, byte[] flags, boolean save) {
        Tensor y = host.allocate(x.u());
        Tensor last = host.allocate(x.u(), DType.F32, Shape.of(x.u().dim(0), x.u().dim(2), x.a().dim(1)));
        Tensor saved = save ? host.allocate(x.u(), DType.F32, Shape.of(kernel.savedFloats(x.shape()))) : null;
        kernel.forward(inputs(x, flags), rows(y), host.read(last), saved == null ? null : host.read(saved));
        return new Tensor[] {y, last, saved};
    }

    @Override
    public Tensor[] backward(SelectiveScan.Operands x, byte[] flags, Tensor saved, Tensor dy, Tensor dFinalState) {
        Tensor[] operands = x.tensors();
        Tensor[] gradients = new Tensor[operands.length];
        for (int i = 0; i < operands.length; i++) {
            gradients[i] = operands[i] == null ? null : host.allocate(operands[i]);
        }
        Tensor gradient = dy != null ? dy : Tensor.zeros(x.u().device(), DType.F32, x.u().shape().toArray());
        MemorySegment scratch = host.scratch(x.u(), Math.max(1, kernel.workspaceFloats(x.shape())));
        ScanGradients out = new ScanGradients(rows(gradients[0]), rows(gradients[1]), host.read(gradients[2]), host.read(gradients[3]),
                host.read(gradients[4]), host.readOrNull(gradients[5]), host.readOrNull(gradients[6]), rows(gradients[7]),
                host.readOrNull(gradients[8]));
        kernel.backward(inputs(x, flags), host.read(saved), rows(gradient), host.readOrNull(dFinalState), out, scratch);
        return gradients;
    }
}
