// Imports FBX files of this pipeline as Humanoid animation, without a click. Copy it to Assets/Editor of a Unity project
// (2021.3 or newer) and drop files of `mocap export MOTION --preset unity -o take.fbx` anywhere below a folder called
// Mocap. Each person of a file becomes an Avatar of its own file; export with --apart for one file a person.

using System.IO;
using System.Linq;
using UnityEditor;
using UnityEngine;

namespace MocapPipeline
{
    public sealed class MocapImporter : AssetPostprocessor
    {
        const string Folder = "Mocap";

        // What Mecanim cannot do without; its automatic mapping finds them by the names of the preset.
        static readonly HumanBodyBones[] Needed =
        {
            HumanBodyBones.Hips, HumanBodyBones.Spine, HumanBodyBones.Head,
            HumanBodyBones.LeftUpperLeg, HumanBodyBones.LeftLowerLeg, HumanBodyBones.LeftFoot,
            HumanBodyBones.RightUpperLeg, HumanBodyBones.RightLowerLeg, HumanBodyBones.RightFoot,
            HumanBodyBones.LeftUpperArm, HumanBodyBones.LeftLowerArm, HumanBodyBones.LeftHand,
            HumanBodyBones.RightUpperArm, HumanBodyBones.RightLowerArm, HumanBodyBones.RightHand,
        };

        public override uint GetVersion() => 1;

        bool IsOurs =>
            Path.GetExtension(assetPath).ToLowerInvariant() == ".fbx" && assetPath.Split('/').Contains(Folder);

        void OnPreprocessModel()
        {
            if (!IsOurs || assetImporter is not ModelImporter importer)
            {
                return;
            }

            importer.globalScale = 1f;
            importer.useFileScale = true; // the file says that it is in centimetres
            importer.bakeAxisConversion = false;
            importer.importCameras = false;
            importer.importLights = false;
            importer.importBlendShapes = false;
            importer.importVisibility = false;
            importer.animationType = ModelImporterAnimationType.Human;
            importer.avatarSetup = ModelImporterAvatarSetup.CreateFromThisModel;
            importer.optimizeGameObjects = false;
            importer.importAnimation = true;
            importer.resampleCurves = true;
            importer.animationCompression = ModelImporterAnimationCompression.Off; // errors of 0.5 degrees slide feet
        }

        void OnPreprocessAnimation()
        {
            if (!IsOurs || assetImporter is not ModelImporter importer || importer.clipAnimations.Length > 0)
            {
                return; // clips that somebody has set up stay as they are
            }

            var name = Path.GetFileNameWithoutExtension(assetPath);
            var clips = importer.defaultClipAnimations;
            for (var i = 0; i < clips.Length; i++)
            {
                clips[i].name = clips.Length == 1 ? name : $"{name} {clips[i].takeName}";
                clips[i].loopTime = false;
                clips[i].keepOriginalOrientation = true; // where the person stood and looked in the room
                clips[i].keepOriginalPositionXZ = true;
                clips[i].keepOriginalPositionY = true;
                clips[i].heightFromFeet = false;
            }

            importer.clipAnimations = clips;
        }

        void OnPostprocessModel(GameObject root)
        {
            if (!IsOurs)
            {
                return;
            }

            var animator = root.GetComponent<Animator>();
            if (animator == null || animator.avatar == null || !animator.avatar.isHuman)
            {
                context.LogImportWarning(
                    $"{assetPath}: no Humanoid avatar. Export with --preset unity, one person a file (--apart).");
                return;
            }

            var bones = animator.avatar.humanDescription.human.Select(bone => bone.humanName).ToHashSet();
            var missing = Needed.Select(bone => HumanTrait.BoneName[(int)bone]).Where(bone => !bones.Contains(bone));
            var told = string.Join(", ", missing);
            if (told.Length > 0)
            {
                context.LogImportWarning($"{assetPath}: no bones for {told}. Export with --preset unity.");
            }
        }
    }
}
