package dev.sequent.testkit;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Gradients;
import dev.sequent.autograd.Variable;
import dev.sequent.mixer.RecurrentMixer;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.nn.Parameter;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/** The laws of a mixer's derivatives, in addition to {@link MixerLaws}. */
public abstract class MixerGradientLaws extends MixerLaws {
    private static final double STEP = 1e-5;

    private static Tensor loss(Tensor y) {
        double[] w = new double[Math.toIntExact(y.size())];
        for (int i = 0; i < w.length; i++) {
            w[i] = Math.cos(0.7 * i + 1);
        }
        return y.reshape(-1).mul(Tensor.of(y.device(), w).cast(y.dtype())).sum();
    }

    private static SequenceInfo info(int batch, int time, boolean packed) {
        SequenceInfo info = SequenceInfo.of(batch, time);
        if (!packed) {
            return info;
        }
        int[] documents = new int[batch * time];
        for (int i = 0; i < documents.length; i++) {
            int t = i % time;
            documents[i] = t == 0 && i / time == 1 ? -1 : t < time / 2 ? 0 : 1;
        }
        return info.withDocuments(documents);
    }

    /** Derivatives with respect to the input and all parameters equal difference quotients in random directions, in F64. */
    @Property(tries = 2)
    void derivativesEqualDifferences(@ForAll @IntRange(min = 1, max = 6) int time, @ForAll boolean packed, @ForAll long seed) {
        for (Subject s : subjects()) {
            try (Device device = Device.open("reference");
                    Scope _ = Scope.open();
                    SequenceMixer<?> mixer = s.config().create(s.width(), 2, new Init(device, DType.F64, new Rng(3)))) {
                Tensor x = new Rng(seed).uniform(device, DType.F64, -1.2, 1.2, 2, time, s.width());
                SequenceInfo info = info(2, time, packed);
                Variable input = Variable.of(x);
                List<Variable> variables = new ArrayList<>(mixer.parameters());
                variables.add(input);
                Gradients g = Autograd.valueAndGrad(variables, () -> loss(mixer.forward(x, info)));
                for (Map.Entry<String, Parameter> p : mixer.namedParameters().entrySet()) {
                    Tensor value = p.getValue().value().alias();
                    directional(s.name() + " " + p.getKey(), value, g.of(p.getValue()), seed, moved -> {
                        p.getValue().set(moved.alias());
                        return loss(mixer.forward(x, info)).item();
                    });
                    p.getValue().set(value.alias());
                }
                directional(s.name() + " input", x, g.of(input), seed, moved -> loss(mixer.forward(moved, info)).item());
            }
        }
    }

    private interface Evaluation {
        double at(Tensor value);
    }

    private static void directional(String what, Tensor value, Tensor gradient, long seed, Evaluation f) {
        for (int direction = 0; direction < 2; direction++) {
            try (Scope _ = Scope.open()) {
                Tensor d = new Rng(seed + direction).uniform(value.device(), DType.F64, -1, 1, value.shape().toArray());
                double expected = (f.at(value.add(d.mul(STEP))) - f.at(value.sub(d.mul(STEP)))) / (2 * STEP);
                double actual = gradient.mul(d).sum().item();
                closeValues("derivative of " + what, new double[] {actual}, new double[] {expected}, 2e-6);
            }
        }
    }

    /** The platforms agree with the reference: outputs and all derivatives. */
    @Property(tries = TRIES)
    void platformsAgreeWithTheReference(@ForAll @IntRange(min = 1, max = 70) int time, @ForAll boolean packed, @ForAll long seed) {
        for (Subject s : subjects()) {
            Map<String, double[]> expected = everything(new Platform("reference", Map.of(), DType.F32, 0), s, time, packed, seed);
            for (Platform p : platforms()) {
                if (p.dtype() == DType.F32) {
                    Map<String, double[]> actual = everything(p, s, time, packed, seed);
                    expected.forEach((name, values) -> closeValues(s.name() + " " + name + " on " + p.backend(), actual.get(name), values,
                            20 * p.tolerance()));
                }
            }
        }
    }

    private static Map<String, double[]> everything(Platform p, Subject s, int time, boolean packed, long seed) {
        try (Device device = Device.open(p.backend(), p.options());
                Scope _ = Scope.open();
                SequenceMixer<?> mixer = s.config().create(s.width(), 2, new Init(device, p.dtype(), new Rng(3)))) {
            Tensor x = new Rng(seed).uniform(device, p.dtype(), -1.2, 1.2, 2, time, s.width());
            SequenceInfo info = info(2, time, packed);
            Variable input = Variable.of(x);
            List<Variable> variables = new ArrayList<>(mixer.parameters());
            variables.add(input);
            Gradients g = Autograd.valueAndGrad(variables, () -> loss(mixer.forward(x, info)));
            Map<String, double[]> all = new LinkedHashMap<>();
            all.put("output", mixer.forward(x, info).toDoubles());
            all.put("loss", g.loss().toDoubles());
            mixer.namedParameters().forEach((name, parameter) -> all.put("gradient of " + name, g.of(parameter).toDoubles()));
            all.put("gradient of the input", g.of(input).toDoubles());
            return all;
        }
    }

    /** Cutting a sequence and carrying the state across the cut changes neither outputs nor derivatives. */
    @Property(tries = TRIES)
    void derivativesFlowThroughCarriedStates(@ForAll @IntRange(min = 1, max = 9) int first, @ForAll @IntRange(min = 1, max = 9) int second,
            @ForAll long seed) {
        everywhere(b -> {
            if (!(((SequenceMixer<?>) b.mixer()) instanceof RecurrentMixer mixer)) {
                return;
            }
            int time = first + second;
            Tensor x = b.input(seed, 2, time);
            List<Variable> variables = new ArrayList<>(mixer.parameters());
            Variable input = Variable.of(x);
            variables.add(input);
            Gradients whole = Autograd.valueAndGrad(variables, () -> loss(mixer.forward(x, SequenceInfo.of(x))));
            Gradients cut = Autograd.valueAndGrad(variables, () -> {
                RecurrentMixer.Carried head = mixer.scan(x.slice(1, 0, first), SequenceInfo.of(2, first), null);
                RecurrentMixer.Carried tail = mixer.scan(x.slice(1, first, time), SequenceInfo.of(2, second), head.state());
                return loss(Tensor.concat(1, head.y(), tail.y()));
            });
            for (Variable v : variables) {
                closeValues("carried derivative of " + b.subject().name(), cut.of(v).toDoubles(), whole.of(v).toDoubles(),
                        20 * b.tolerance());
            }
        });
    }

    /** The final state's derivative with respect to initial state and input equals difference quotients, in F64. */
    @Property(tries = 2)
    void finalStatesAreDifferentiable(@ForAll @IntRange(min = 1, max = 5) int time, @ForAll long seed) {
        for (Subject s : subjects()) {
            try (Device device = Device.open("reference");
                    Scope _ = Scope.open();
                    SequenceMixer<?> made = s.config().create(s.width(), 2, new Init(device, DType.F64, new Rng(3)))) {
                if (made instanceof RecurrentMixer mixer) {
                    checkFinalState(s, mixer, device, time, seed);
                }
            }
        }
    }

    private static void checkFinalState(Subject s, RecurrentMixer mixer, Device device, int time, long seed) {
        Tensor x = new Rng(seed).uniform(device, DType.F64, -1.2, 1.2, 2, time, s.width());
        List<Tensor> state = new ArrayList<>();
        for (var slot : mixer.stateLayout(new StateSpec(2, time, DType.F64, device))) {
            state.add(new Rng(seed + state.size()).uniform(device, DType.F64, -1, 1, slot.shape().toArray()).cast(slot.dtype()));
        }
        List<Variable> variables = new ArrayList<>();
        state.forEach(t -> variables.add(Variable.of(t)));
        variables.add(Variable.of(x));
        Gradients g = Autograd.valueAndGrad(variables, () -> stateLoss(mixer, x, state));
        for (int i = 0; i < state.size(); i++) {
            int which = i;
            directional(s.name() + " initial state " + i, state.get(i), g.of(variables.get(i)), seed, moved -> {
                List<Tensor> shifted = new ArrayList<>(state);
                shifted.set(which, moved);
                return stateLoss(mixer, x, shifted).item();
            });
        }
        directional(s.name() + " input to final state", x, g.of(variables.getLast()), seed, moved -> stateLoss(mixer, moved, state).item());
    }

    private static Tensor stateLoss(RecurrentMixer mixer, Tensor x, List<Tensor> state) {
        RecurrentMixer.Carried carried = mixer.scan(x, SequenceInfo.of(x), state);
        Supplier<Tensor> total = () -> {
            Tensor sum = loss(carried.y());
            for (Tensor t : carried.state()) {
                sum = sum.add(loss(t));
            }
            return sum;
        };
        return total.get();
    }
}
