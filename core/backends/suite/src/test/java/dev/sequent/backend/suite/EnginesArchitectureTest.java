package dev.sequent.backend.suite;

import static com.tngtech.archunit.core.domain.JavaModifier.FINAL;
import static com.tngtech.archunit.lang.conditions.ArchConditions.haveModifier;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;

/** What the modules of engines may know, which the examples' class path does not hold. */
@AnalyzeClasses(packages = "dev.sequent", importOptions = ImportOption.DoNotIncludeTests.class)
class EnginesArchitectureTest {
    private static final String ROOT = "dev.sequent.";

    @ArchTest
    static void enginesAreKnownToTheirBackendsOnly(JavaClasses classes) {
        noClasses().that().resideOutsideOfPackages(ROOT + "backend.djl", ROOT + "tokenizers").should().dependOnClassesThat()
                .resideInAPackage("ai.djl..").check(classes);
        noClasses().that().resideOutsideOfPackage(ROOT + "backend.nd4j").should().dependOnClassesThat()
                .resideInAnyPackage("org.nd4j..", "org.bytedeco..").check(classes);
    }

    @ArchTest
    static void backendsSeeNothingAboveThem(JavaClasses classes) {
        classes().that().resideInAnyPackage(ROOT + "backend.djl", ROOT + "backend.nd4j").should().onlyDependOnClassesThat()
                .resideInAnyPackage("java..", "com.sun.management..", "ai.djl..", "org.nd4j..", "org.bytedeco..", ROOT + "type",
                ROOT + "op", ROOT + "spi",
                        ROOT + "backend.djl", ROOT + "backend.nd4j").check(classes);
        noClasses().that().resideInAPackage(ROOT + "backend.djl").should().dependOnClassesThat().resideInAPackage(ROOT + "backend.nd4j")
                .check(classes);
        noClasses().that().resideInAPackage(ROOT + "backend.nd4j").should().dependOnClassesThat().resideInAPackage(ROOT + "backend.djl")
                .check(classes);
    }

    @ArchTest
    static void thereIsNoMutableStateOfTheProcess(JavaClasses classes) {
        fields().that().areDeclaredInClassesThat().resideInAPackage(ROOT + "backend..").and().areStatic().should(haveModifier(FINAL))
                .check(classes);
    }

    @ArchTest
    static void backendsDoNotPrint(JavaClasses classes) {
        noClasses().that().resideInAPackage(ROOT + "backend..").should().accessField(System.class, "out").orShould()
                .accessField(System.class, "err")
                .check(classes);
    }
}
