package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ShapeException;
import java.util.Arrays;

/**
 * Shapes are where sequence models go wrong. Three habits help: single letters for sizes, the shape behind every line that changes it, and
 * {@code expect} where a tensor comes in.
 */
public final class Lesson02Shapes {
    private Lesson02Shapes() {}

    /** Runs the lesson. */
    public static void run() {
        // The letters of the whole library: B batch, T time, D model width, H heads, P head width.
        int B = 1;
        int T = 2;
        int H = 2;
        int P = 3;
        int D = H * P;
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            // Element (b, t, d) is 10 t + d, so that every number tells where it came from.
            Tensor x = Tensor.of(device, new float[] {0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}, B, T, D);
            x.expect("x", B, T, D); // throws unless the shape is this; costs nothing and documents what follows

            splitIntoHeads(x, B, T, H, P);
            slicing(x);
            matrixProduct(device, x);
            mistakes(device, x);
        }
    }

    /** Attention wants (B, H, T, P): the width cut into heads, and every head with a sequence of its own. */
    private static void splitIntoHeads(Tensor x, int B, int T, int H, int P) {
        // WRONG: the sizes are right, so nobody complains, but reshape never moves an element. Head 0 gets both halves of token 0.
        Tensor wrong = x.reshape(B, H, T, P);               // (B, H, T, P) by accident
        say("wrong: head 0 = %s", Arrays.toString(wrong.select(1, 0).toFloats()));

        // Right: cut the last axis in two, which moves nothing, then exchange T and H, which does.
        Tensor right = x.reshape(B, T, H, P)                // (B, T, H, P)
                .transpose(1, 2);                           // (B, H, T, P)
        say("right: head 0 = %s", Arrays.toString(right.select(1, 0).toFloats()));

        // And back: the same two steps in reverse order.
        Tensor back = right.transpose(1, 2)                 // (B, T, H, P)
                .reshape(B, T, H * P);                      // (B, T, D)
        say("back again: %s", Arrays.equals(back.toFloats(), x.toFloats()));
    }

    /** Axes can be counted from the end, as in numpy: -1 is the innermost one. */
    private static void slicing(Tensor x) {
        Tensor lastToken = x.slice(1, 1, 2);                // (B, 1, D): an axis of size 1 stays
        Tensor vector = x.select(1, 1);                     // (B, D): the axis is gone
        Tensor sums = x.sum(-1);                            // (B, T)
        say("slice %s, select %s, sums over the width %s = %s", lastToken.shape(), vector.shape(), sums.shape(),
        Arrays.toString(sums.toFloats()));
    }

    /** matmul multiplies the two innermost axes and treats all outer ones as a batch. */
    private static void matrixProduct(Device device, Tensor x) {
        Tensor scores = x.matmul(x, false, true);           // (B, T, D) (B, D, T) -> (B, T, T)
        Tensor weight = Tensor.ones(device, x.dtype(), 4, x.dim(-1));
        Tensor projected = x.matmul(weight, false, true);   // (B, T, D) (D, 4) -> (B, T, 4); the missing batch axis is broadcast
        say("scores %s, projected %s", scores.shape(), projected.shape());
    }

    /** A wrong shape is one exception that names the operation and both shapes, before anything is computed. */
    private static void mistakes(Device device, Tensor x) {
        Tensor perToken = Tensor.of(device, new float[] {1, 2}); // (T): one number per token
        try {
            x.mul(perToken); // WRONG: axes are matched from the end, so (T) meets D
        } catch (ShapeException e) {
            say("wrong: %s", e.getMessage());
        }
        Tensor scaled = x.mul(perToken.unsqueeze(-1));      // (T, 1) meets (T, D)
        say("right: %s", Arrays.toString(scaled.toFloats()));
        try {
            x.expect("x", -1, 3, 6); // -1 stands for any size
        } catch (ShapeException e) {
            say("expect: %s", e.getMessage());
        }
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=02
    //
    // You should see that the wrong head 0 is [0, 1, 2, 3, 4, 5], one token cut in two, while the right one is [0, 1, 2, 10, 11, 12], the
    // first half of both tokens; that going back gives x; and two messages that read "[operation] expected ..., given ...".
}
