package dev.sequent.ssm.scan;

import dev.sequent.fused.HostTensors;
import dev.sequent.spi.HostMemory;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link StateSpaceDualKernel} on tensors in host memory, by {@link StateSpaceDualCpu}. */
final class StateSpaceDualHost implements StateSpaceDualKernel {
    /** Chunks of 128 rows are indexed by int. */
    private static final long LARGEST_STRIDE = 1 << 23;
    /** States are indexed by int. */
    private static final long LARGEST_STATE = 1 << 22;

    private final HostTensors host;
    private final StateSpaceDualCpu kernel;

    StateSpaceDualHost(HostTensors host) {
        this.host = host;
        this.kernel = StateSpaceDualCpu.on(host.parallel(), host.vectorised());
    }

    @Override
    public String name() {
        return "state-space-dual/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(StateSpaceDual.Operands in) {
        if (in.x().size() == 0 || in.b().size() == 0) {
            return Optional.of("takes at least one element, given " + in.x().shape() + " and " + in.b().shape());
        }
        long state = in.x().dim(3) * in.b().dim(3);
        if (in.x().dim(2) * in.x().dim(3) > LARGEST_STRIDE || in.b().dim(2) * in.b().dim(3) > LARGEST_STRIDE || state > LARGEST_STATE) {
            return Optional.of("takes at most " + LARGEST_STRIDE + " channels and " + LARGEST_STATE + " states of a head, given "
                    + in.x().shape() + " and " + in.b().shape());
        }
        return HostTensors.refusal(in.x());
    }

    /** Rows (B, T, features) of a tensor where they lie; of a dense copy if its last axes are not neighbours or rows too far apart. */
    private ScanRows rows(Tensor x) {
        HostMemory.View view = host.view(x);
        long[] strides = view.strides();
        boolean dense = strides[x.rank() - 1] == 1 && (x.rank() == 3 || strides[2] == x.dim(3));
        if (!dense || strides[1] > LARGEST_STRIDE) {
            int features = Math.toIntExact(x.size() / (x.dim(0) * x.dim(1)));
            return ScanRows.contiguous(host.read(x.contiguous()), (int) x.dim(1), features);
        }
        return new ScanRows(view.segment(), strides[0], strides[1]);
    }

    /** States where they lie, or with N innermost and no gaps. */
    private DualStates states(Tensor x, boolean rowsOfN) {
        if (x == null) {
            return null;
        }
        HostMemory.View view = rowsOfN ? host.view(x.contiguous()) : host.view(x);
        long[] strides = view.strides();
        return new DualStates(view.segment(), strides[0], strides[1], strides[2], strides[3]);
    }

    private DualInputs inputs(StateSpaceDual.Operands in, byte[] flags, boolean step) {
        return new DualInputs(in.shape(), rows(in.x()), rows(in.dt()), host.read(in.a()), rows(in.b()), rows(in.c()),
                host.readOrNull(in.skip()), states(in.initialState(), step), flags);
    }

    /**
     * A tensor (B, H, P, N) whose memory has the order (B, H, N, P): states leave and enter the kernel in the order in which it works on
     * them.
     */
    private Tensor columnsInnermost(StateSpaceDual.Operands in) {
        DualShape s = in.shape();
        return host.allocate(in.x(), DType.F32, Shape.of(s.batch(), s.heads(), s.states(), s.width())).transpose(2, 3);
    }

    @Override
    public Tensor[] forward(StateSpaceDual.Operands in, byte[] flags, boolean save) {
        DualShape s = in.shape();
        boolean step = StateSpaceDualCpu.isStep(s, save);
        Tensor y = host.allocate(in.x());
        Tensor last = step ? host.allocate(in.x(), DType.F32, Shape.of(s.batch(), s.heads(), s.width(), s.states())) : columnsInnermost(in);
        Tensor saved = save || kernel.needsSaved(s) ? host.allocate(in.x(), DType.F32, Shape.of(StateSpaceDualCpu.savedFloats(s))) : null;
        kernel.forward(inputs(in, flags, step), rows(y), states(last, false), saved == null ? null : host.read(saved));
        return new Tensor[] {y, last, save ? saved : null};
    }

    @Override
    public Tensor[] backward(StateSpaceDual.Operands in, byte[] flags, Tensor saved, Tensor dy, Tensor dFinalState) {
        Tensor[] operands = in.tensors();
        Tensor[] gradients = new Tensor[operands.length];
        for (int i = 0; i < operands.length; i++) {
            gradients[i] = operands[i] == null ? null : i == 6 ? columnsInnermost(in) : host.allocate(operands[i]);
        }
        Tensor gradient = dy != null ? dy : Tensor.zeros(in.x().device(), DType.F32, in.x().shape().toArray());
        MemorySegment scratch = host.scratch(in.x(), kernel.workspaceFloats(in.shape()));
        DualGradients out = new DualGradients(rows(gradients[0]), rows(gradients[1]), host.read(gradients[2]), host.read(gradients[3]),
                host.read(gradients[4]), host.readOrNull(gradients[5]), states(gradients[6], false));
        kernel.backward(inputs(in, flags, false), host.read(saved), rows(gradient), states(dFinalState, false), out, scratch);
        return gradients;
    }
}
