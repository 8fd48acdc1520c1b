package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.autograd.Autograd;
import dev.sequent.autograd.Variable;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.ReleasedTensorException;
import java.util.List;

/**
 * Tensors hold memory that the garbage collector does not see. A new tensor belongs to the innermost open scope of its thread, and goes
 * when that scope ends. That is the whole rule.
 */
public final class Lesson05Memory {
    private static final int STEPS = 100;

    private Lesson05Memory() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest()) {
            long atStart = live(device);
            try (Scope _ = Scope.open()) {
                Tensor weights = Tensor.ones(device, DType.F32, 64, 64);
                wrongLoop(device, weights);
                rightLoop(device, weights);
                lettingAResultOut(device, weights);
                useAfterRelease(weights);
                training(device, weights);
            }
            say("live tensors after the outermost scope: %d more than at the start", live(device) - atStart);
        }
    }

    private static long live(Device device) {
        return device.memory().liveHandles();
    }

    /** WRONG: one scope around a long loop. Nothing leaks for ever, but everything lives until the loop has ended. */
    private static void wrongLoop(Device device, Tensor weights) {
        try (Scope _ = Scope.open()) {
            long before = live(device);
            double sum = 0;
            for (int step = 0; step < STEPS; step++) {
                sum += weights.mul(2).add(1).mean().item(); // several tensors a step
            }
            say("wrong: one scope around %d steps holds %d more tensors at its end (mean %.0f)", STEPS, live(device) - before, sum / STEPS);
        }
    }

    /** Right: a scope per step. */
    private static void rightLoop(Device device, Tensor weights) {
        long before = live(device);
        double sum = 0;
        for (int step = 0; step < STEPS; step++) {
            try (Scope _ = Scope.open()) {
                sum += weights.mul(2).add(1).mean().item();
            }
        }
        say("right: a scope in every step holds %d more tensors (mean %.0f)", live(device) - before, sum / STEPS);
    }

    /** keep() moves a result to the enclosing scope; Scope.returning does both in one call. What only helped to compute it is released. */
    private static void lettingAResultOut(Device device, Tensor weights) {
        long before = live(device);
        Tensor kept;
        try (Scope scope = Scope.open()) {
            kept = scope.keep(weights.mul(2).add(1));
        }
        Tensor returned = Scope.returning(() -> weights.mul(2).add(1));
        say("two results let out of their scopes: %d more tensors, mean %.0f and %.0f", live(device) - before, kept.mean().item(),
                returned.mean().item());
    }

    /** A released tensor is not a crash and not garbage: it is one exception, which says what to do. */
    private static void useAfterRelease(Tensor weights) {
        Tensor escaped;
        try (Scope _ = Scope.open()) {
            escaped = weights.mul(2); // WRONG: not kept
        }
        try {
            escaped.add(1);
        } catch (ReleasedTensorException e) {
            say("wrong: %s", e.getMessage());
        }
    }

    /** The backward pass frees what it has consumed; only the loss and the gradients come out, into the scope of the step. */
    private static void training(Device device, Tensor weights) {
        Variable w = Variable.of(weights);
        long before = live(device);
        long most = 0;
        for (int step = 0; step < STEPS; step++) {
            try (Scope _ = Scope.open()) {
                Autograd.valueAndGrad(List.of(w), () -> w.value().matmul(w.value()).silu().mean());
                most = Math.max(most, live(device) - before);
            }
        }
        say("training: %d tensors during a step (loss and gradient), %d after %d steps", most, live(device) - before, STEPS);
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=05
    //
    // You should see hundreds of tensors held by the wrong loop and 0 by the right one; 2 results let out; an error about a released tensor
    // of shape (64, 64); 2 tensors during a training step and 0 after it; and 0 at the end. Count live tensors in your own loops: constant
    // over 100 steps means that nothing leaks.
}
